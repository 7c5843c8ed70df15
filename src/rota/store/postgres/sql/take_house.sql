-- take_house: become orchestrator if the place is vacant.
--
-- Takes    p_node bigint
-- Returns  bigint: the node that holds the place now; null when nobody does, since p_node is closed itself
-- Locks    the house's row
-- Plan     one row
-- Twin     store/sqlite/sql/take_house.sql; tests/contract/test_members.py runs both.

CREATE FUNCTION take_house(p_node bigint) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    holder bigint;
BEGIN
    -- Every node asks every two seconds. As long as somebody has the place this is a look: it locks and writes nothing.
    SELECT n.id INTO holder FROM house h JOIN nodes n ON n.id = h.orchestrator WHERE n.closed_at IS NULL;
    IF FOUND THEN
        RETURN holder;
    END IF;

    -- First, in a statement of its own: who waits here looks afresh afterwards, at who has taken the place meanwhile.
    PERFORM FROM house FOR UPDATE;

    -- step: house locked

    UPDATE house
       SET orchestrator = p_node
     WHERE NOT EXISTS (SELECT FROM nodes n WHERE n.id = orchestrator AND n.closed_at IS NULL)
       AND EXISTS (SELECT FROM nodes n WHERE n.id = p_node AND n.closed_at IS NULL);
    RETURN (SELECT h.orchestrator FROM house h JOIN nodes n ON n.id = h.orchestrator WHERE n.closed_at IS NULL);
END
$$;
