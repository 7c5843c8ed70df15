-- forgotten_keys: keys of which a job waits and that have neither head nor turn, so that nobody would ever come to them.
--
-- Takes    nothing
-- Returns  queue_id, slot, key
-- Locks    nothing
-- Plan     Index Scan using live_line from key to key
-- Twin     store/sqlite/sql/sweep_keys.sql; tests/contract/test_house.py runs both.

CREATE FUNCTION forgotten_keys() RETURNS TABLE (queue_id smallint, slot smallint, key text) LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    WITH RECURSIVE k AS (
        (SELECT l.queue_id, l.key, l.slot
           FROM live l
          WHERE NOT l.head AND l.key IS NOT NULL AND l.due_at IS NULL
          ORDER BY l.queue_id, l.key, l.seq
          LIMIT 1)
        UNION ALL
        SELECT n.*
          FROM k
         CROSS JOIN LATERAL (
               SELECT l.queue_id, l.key, l.slot
                 FROM live l
                WHERE (l.queue_id, l.key) > (k.queue_id, k.key) AND NOT l.head AND l.key IS NOT NULL AND l.due_at IS NULL
                ORDER BY l.queue_id, l.key, l.seq
                LIMIT 1) n
    )
    SELECT k.queue_id, k.slot, k.key
      FROM k
     WHERE (SELECT true FROM live h WHERE h.queue_id = k.queue_id AND h.key = k.key AND h.head LIMIT 1) IS NULL
       AND (SELECT true FROM turns t WHERE t.queue_id = k.queue_id AND t.slot = k.slot AND t.key = k.key LIMIT 1) IS NULL;
END
$$;
