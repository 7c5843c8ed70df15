-- ready_elsewhere: slots outside of p_slots that have claimable jobs worth stealing.
--
-- Takes    p_queue smallint · p_slots smallint[] · p_keyed_before bigint · p_limit integer
-- Returns  slot smallint, in order
-- Locks    nothing
-- Plan     Index Scan using live_ready: from slot to slot, and into each line as far as its first hundred jobs
-- Twin     store/sqlite/sql/ready_elsewhere.sql; tests/contract/test_stealing.py runs both.

CREATE FUNCTION ready_elsewhere(p_queue smallint, p_slots smallint[], p_keyed_before bigint, p_limit integer)
RETURNS SETOF smallint LANGUAGE plpgsql STABLE AS $$
DECLARE
    at_slot smallint := -1;
    missing integer := p_limit;
    is_worth boolean;
BEGIN
    WHILE missing > 0 LOOP
        SELECT l.slot INTO at_slot
          FROM live l
         WHERE l.queue_id = p_queue AND l.slot > at_slot AND l.ready AND NOT l.alone AND l.holder IS NULL
         ORDER BY l.slot
         LIMIT 1;
        EXIT WHEN NOT FOUND;
        CONTINUE WHEN at_slot = ANY (p_slots);
        SELECT bool_or(x.key IS NULL OR x.ready_at < p_keyed_before) INTO is_worth
          FROM (SELECT l.key, l.ready_at
                  FROM live l
                 WHERE l.queue_id = p_queue AND l.slot = at_slot AND l.ready AND NOT l.alone AND l.holder IS NULL
                 ORDER BY l.place
                 LIMIT 100) x;
        IF is_worth THEN
            RETURN NEXT at_slot;
            missing := missing - 1;
        END IF;
    END LOOP;
END
$$;
