-- stage_keys: make a head for each of these keys that has a due job and no head. The only place that makes one.
--
-- Takes    p_queues smallint[] · p_slots smallint[] · p_keys text[] · p_sinces bigint[] (side by side): since
--          when the key's job could have been claimed, had anybody looked
-- Returns  one row: woken_queues, woken_slots, woken_places (lowest of each slot), and skipped: slots in which a key could
--          not be looked at to the end; its turn has been left in turns for whoever comes next. They are woken too.
-- Locks    the slots, by try-lock to the end of the transaction, in a statement BEFORE the look: so that the look sees all
--          that the last holder of the slot did. Then the row of each new head, or none. Never waits.
-- Plan     Index Scan using live_line and live_head, once a key; then Tid Scan
-- Twin     store/sqlite/sql/stage_keys.sql; tests/contract/test_keys.py runs both.

CREATE FUNCTION stage_keys(
    p_queues smallint[], p_slots smallint[], p_keys text[], p_sinces bigint[],
    OUT woken_queues smallint[], OUT woken_slots smallint[], OUT woken_places bigint[], OUT skipped smallint[]
) LANGUAGE plpgsql AS $$
DECLARE
    lock_class integer := hashtext(current_schema());
    mine integer[];
BEGIN
    IF p_keys IS NULL THEN
        RETURN;
    END IF;
    -- One lock for several queues' slots: 30,000 of them in one transaction would overflow the server's lock table.
    mine := ARRAY(
        SELECT x.line
          FROM (SELECT DISTINCT u.q::integer * 1024 + u.s AS line FROM unnest(p_queues, p_slots) u(q, s)) x
         WHERE pg_try_advisory_xact_lock(lock_class, x.line % 4096));

    -- step: slots locked

    WITH t AS MATERIALIZED (
        SELECT u.q, u.s, u.k, u.q::integer * 1024 + u.s AS line, min(u.since) AS since
          FROM unnest(p_queues, p_slots, p_keys, p_sinces) u(q, s, k, since)
         GROUP BY u.q, u.s, u.k
    ), c AS MATERIALIZED (
        -- The lowest seq, whoever has it locked. SKIP LOCKED over the line would promote the key's second job.
        SELECT t.q, t.s, t.k, t.since, n.ctid AS at
          FROM t
         CROSS JOIN LATERAL (
               SELECT l.ctid
                 FROM live l
                WHERE l.queue_id = t.q AND l.key = t.k AND NOT l.head AND l.key IS NOT NULL AND l.due_at IS NULL
                ORDER BY l.seq
                LIMIT 1) n
         WHERE t.line = ANY (mine)
               -- As a scalar: with statistics of an empty table NOT EXISTS becomes an anti-join over all heads.
           AND (SELECT true FROM live h WHERE h.queue_id = t.q AND h.key = t.k AND h.head LIMIT 1) IS NULL
    ), l AS MATERIALIZED (
        -- That row or none. If it has changed since the look, the update below misses it and its turn stays.
        SELECT c.since, x.ctid AS at
          FROM c
         CROSS JOIN LATERAL (
               SELECT v.ctid
                 FROM live v
                WHERE v.ctid = c.at AND NOT v.head AND v.due_at IS NULL
                  FOR UPDATE SKIP LOCKED) x
    ), u AS (
        UPDATE live v
           SET head = true, ready = true, ready_at = l.since
          FROM l
         WHERE v.ctid = l.at
     RETURNING v.queue_id, v.slot, v.place, v.key
    ), a AS (
        INSERT INTO turns (queue_id, slot, key, since)
        SELECT t.q, t.s, t.k, t.since FROM t WHERE NOT t.line = ANY (mine)
         UNION ALL
        SELECT c.q, c.s, c.k, c.since FROM c WHERE (c.q, c.k) NOT IN (SELECT u.queue_id, u.key FROM u)
     RETURNING queue_id, slot
    ), w AS (
        -- Whoever owns a skipped slot hears of it too: it has a turn to give, and nobody knows from which place on.
        SELECT x.queue_id, x.slot, min(x.place) AS place
          FROM (SELECT u.queue_id, u.slot, u.place FROM u UNION ALL SELECT a.queue_id, a.slot, 0 FROM a) x
         GROUP BY x.queue_id, x.slot
    )
    SELECT (SELECT array_agg(w.queue_id) FROM w), (SELECT array_agg(w.slot) FROM w), (SELECT array_agg(w.place) FROM w),
           (SELECT array_agg(DISTINCT a.slot) FROM a)
      INTO woken_queues, woken_slots, woken_places, skipped;
END
$$;
