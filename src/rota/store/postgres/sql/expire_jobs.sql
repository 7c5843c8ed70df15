-- expire_jobs: settle as expired up to p_limit jobs whose time has passed and that nobody has ever started.
--
-- Takes    p_now bigint · p_limit integer
-- Returns  integer: how many were settled. Safe to call again, and to be called by two at once.
-- Locks    the rows, skipping locked ones: whoever has such a row starts, cancels or settles it; then what stage_keys locks.
-- Plan     Index Scan using live_expires
-- Twin     store/sqlite/sql/expirable.sql; tests/contract/test_expire.py runs both.

CREATE FUNCTION expire_jobs(p_now bigint, p_limit integer) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
    now_us bigint := coalesce(p_now, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint);
    settled uuid[];
    key_queues smallint[];
    key_slots smallint[];
    keys text[];
    staged record;
BEGIN
    WITH late AS MATERIALIZED (
        SELECT l.token
          FROM live l
         WHERE l.expires_at <= now_us AND l.holder IS NULL AND l.attempts = 0 AND l.crashes = 0
         ORDER BY l.expires_at
         LIMIT p_limit
           FOR UPDATE SKIP LOCKED
    ), d AS (
        DELETE FROM live l USING late WHERE l.token = ANY (ARRAY[late.token]) RETURNING l.*
    ), f AS (
        INSERT INTO finished (token, seq, submitted_at, started_at, settled_at, expires_at, fence, recorded, worker, task_id,
                              hash16, attempts, crashes, queue_id, priority, codec, state, cancel_asked, key, payload, meta,
                              result, failure)
        SELECT d.token, d.seq, d.submitted_at, NULL, now_us, d.expires_at, d.fence, d.recorded, NULL, d.task_id, d.hash16,
               d.attempts, d.crashes, d.queue_id, d.priority, d.codec, 3, d.cancel_asked, d.key, d.payload, d.meta, NULL, NULL
          FROM d
    )
    SELECT array_agg(d.token), array_agg(d.queue_id) FILTER (WHERE d.key IS NOT NULL),
           array_agg(d.slot) FILTER (WHERE d.key IS NOT NULL), array_agg(d.key) FILTER (WHERE d.key IS NOT NULL)
      INTO settled, key_queues, key_slots, keys
      FROM d;
    IF settled IS NULL THEN
        RETURN 0;
    END IF;

    -- Also of those that were not head: the key may have a turn and no head yet.
    IF keys IS NOT NULL THEN
        SELECT * INTO staged FROM stage_keys(key_queues, key_slots, keys, array_fill(now_us, ARRAY[cardinality(keys)]));
        PERFORM tell_wakes(staged.woken_queues, staged.woken_slots, staged.woken_places, settled);
    ELSE
        PERFORM tell_wakes(NULL, NULL, NULL, settled);
    END IF;
    RETURN cardinality(settled);
END
$$;
