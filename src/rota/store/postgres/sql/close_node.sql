-- close_node: declare a node dead if its lease counter is still the one that was seen.
--
-- Takes    p_now bigint · p_node bigint · p_counter bigint
-- Returns  boolean: whether this call did it
-- Locks    the lease's row, then the node's FOR UPDATE: no worker can register under it meanwhile.
-- Plan     Index Scan using leases_pkey, then nodes_pkey
-- Twin     store/sqlite/sql/close_node.sql; tests/contract/test_members.py runs both.

CREATE FUNCTION close_node(p_now bigint, p_node bigint, p_counter bigint) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    now_us bigint := coalesce(p_now, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint);
BEGIN
    -- A compare-and-set in one row: of two closers one finds it closed, and a renewal in between finds another counter.
    UPDATE leases SET is_closed = true WHERE node_id = p_node AND counter = p_counter AND NOT is_closed;
    IF NOT FOUND THEN
        RETURN false;
    END IF;

    -- step: lease closed

    PERFORM FROM nodes WHERE id = p_node FOR UPDATE;
    UPDATE nodes SET closed_at = now_us WHERE id = p_node;
    PERFORM pg_notify(current_schema(), '{"e":true}');
    RETURN true;
END
$$;
