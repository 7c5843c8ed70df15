-- best_of_slots: lock the p_limit claimable jobs that have the lowest places across these slots.
--
-- Takes    p_queue smallint · p_slots smallint[] · p_cursors bigint[] beside it (null: 0) · p_limit integer ·
--          p_tasks integer[] · p_keyed_before bigint: as claim_jobs, which is the only caller
-- Returns  tid[], or null when there is none. Exact unless another session claims the same slots at this moment.
-- Locks    the rows returned, skipping locked ones. Never waits.
-- Plan     Index Scan using live_ready, twice a slot
-- Twin     none: SQLite orders across slots in its claim_jobs.sql, where nobody else can hold a row.

CREATE FUNCTION best_of_slots(
    p_queue smallint, p_slots smallint[], p_cursors bigint[], p_limit integer, p_tasks integer[], p_keyed_before bigint
) RETURNS tid[] LANGUAGE plpgsql AS $$
DECLARE
    sample integer := least(p_limit, 1 + 2 * p_limit / greatest(cardinality(p_slots), 1));
    furthest bigint;
    chosen tid[];
BEGIN
    -- The p_limit-th place in a sample from every slot: nothing beyond it can belong to the best.
    SELECT x.place INTO furthest
      FROM (SELECT r.place
              FROM unnest(p_slots, p_cursors) u(s, c)
             CROSS JOIN LATERAL (
                   SELECT l.place
                     FROM live l
                    WHERE l.queue_id = p_queue AND l.slot = u.s AND l.place >= coalesce(u.c, 0)
                      AND l.ready AND NOT l.alone AND l.holder IS NULL AND l.task_id = ANY (p_tasks)
                      AND (p_keyed_before IS NULL OR l.key IS NULL OR l.ready_at < p_keyed_before)
                    ORDER BY l.place
                    LIMIT sample) r
             ORDER BY r.place
            OFFSET p_limit - 1
             LIMIT 1) x;

    SELECT array_agg(y.ctid) INTO chosen
      FROM (SELECT r.token
              FROM unnest(p_slots, p_cursors) u(s, c)
             CROSS JOIN LATERAL (
                   SELECT l.token, l.place
                     FROM live l
                    WHERE l.queue_id = p_queue AND l.slot = u.s AND l.place >= coalesce(u.c, 0)
                      AND l.place <= coalesce(furthest, 9223372036854775807)
                      AND l.ready AND NOT l.alone AND l.holder IS NULL AND l.task_id = ANY (p_tasks)
                      AND (p_keyed_before IS NULL OR l.key IS NULL OR l.ready_at < p_keyed_before)
                    ORDER BY l.place
                    LIMIT p_limit) r
             ORDER BY r.place
             LIMIT p_limit) x
     CROSS JOIN LATERAL (
           SELECT l.ctid
             FROM live l
            WHERE l.token = x.token AND l.ready AND NOT l.alone AND l.holder IS NULL
              FOR UPDATE SKIP LOCKED) y;
    IF chosen IS NOT NULL THEN
        RETURN chosen;
    END IF;

    -- Another session has just locked all of them: take what it leaves, rather than nothing.
    SELECT array_agg(x.ctid) INTO chosen
      FROM (SELECT r.ctid
              FROM unnest(p_slots, p_cursors) u(s, c)
             CROSS JOIN LATERAL (
                   SELECT l.ctid
                     FROM live l
                    WHERE l.queue_id = p_queue AND l.slot = u.s AND l.place >= coalesce(u.c, 0)
                      AND l.ready AND NOT l.alone AND l.holder IS NULL AND l.task_id = ANY (p_tasks)
                      AND (p_keyed_before IS NULL OR l.key IS NULL OR l.ready_at < p_keyed_before)
                    ORDER BY l.place
                    LIMIT p_limit
                      FOR UPDATE SKIP LOCKED) r
             LIMIT p_limit) x;
    RETURN chosen;
END
$$;
