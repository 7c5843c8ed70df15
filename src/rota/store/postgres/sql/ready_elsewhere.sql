-- ready_elsewhere: slots outside of p_slots that have claimable jobs worth stealing, staged or not.
--
-- Takes    p_now bigint · p_queue smallint · p_slots smallint[] · p_keyed_before bigint · p_limit integer
-- Returns  slot smallint, in order
-- Locks    nothing
-- Plan     Index Scan using live_ready, live_due and turns_slot: from slot to slot, and into each line as far as its first
--          hundred jobs
-- Twin     store/sqlite/sql/ready_elsewhere.sql; tests/contract/test_reading.py runs both.

CREATE FUNCTION ready_elsewhere(p_now bigint, p_queue smallint, p_slots smallint[], p_keyed_before bigint, p_limit integer)
RETURNS SETOF smallint LANGUAGE plpgsql STABLE AS $$
DECLARE
    now_us bigint := coalesce(p_now, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint);
    at_slot smallint := -1;
    missing integer := p_limit;
    is_worth boolean;
BEGIN
    WHILE missing > 0 LOOP
        -- The next slot that has anything at all. Asked for one with something due, this would read past a million jobs that
        -- are not, once for each slot.
        at_slot := least(
            (SELECT l.slot FROM live l
              WHERE l.queue_id = p_queue AND l.slot > at_slot AND l.ready AND NOT l.alone
              ORDER BY l.slot LIMIT 1),
            (SELECT t.slot FROM turns t WHERE t.queue_id = p_queue AND t.slot > at_slot ORDER BY t.slot LIMIT 1),
            (SELECT l.slot FROM live l
              WHERE l.queue_id = p_queue AND l.slot > at_slot AND l.due_at IS NOT NULL
              ORDER BY l.slot LIMIT 1));
        EXIT WHEN at_slot IS NULL;
        CONTINUE WHEN at_slot = ANY (p_slots);
        SELECT bool_or(x.key IS NULL OR x.since < p_keyed_before) INTO is_worth
          FROM ((SELECT l.key, l.ready_at AS since
                   FROM live l
                  WHERE l.queue_id = p_queue AND l.slot = at_slot AND l.ready AND NOT l.alone AND l.holder IS NULL
                  ORDER BY l.place
                  LIMIT 100)
                 UNION ALL
                -- What its owner, with its hands full, has not even staged.
                (SELECT t.key, t.since FROM turns t WHERE t.queue_id = p_queue AND t.slot = at_slot LIMIT 100)
                 UNION ALL
                (SELECT l.key, l.due_at
                   FROM live l
                  WHERE l.queue_id = p_queue AND l.slot = at_slot AND l.due_at <= now_us
                  ORDER BY l.due_at
                  LIMIT 100)) x;
        IF is_worth THEN
            RETURN NEXT at_slot;
            missing := missing - 1;
        END IF;
    END LOOP;
END
$$;
