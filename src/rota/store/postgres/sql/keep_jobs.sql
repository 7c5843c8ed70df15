-- keep_jobs: record outcomes that do not finish a job: retry, snooze, given back.
--
-- Takes    p_now bigint · p_worker bigint · arrays side by side as settle_jobs, which is the only caller
-- Returns  one row: kept_count; woken_queues, woken_slots, woken_places of the jobs that can be claimed at once
-- Locks    the rows, in the order of their tokens
-- Plan     Index Scan using live_pkey, once an outcome
-- Twin     store/sqlite/sql/keep_job.sql; tests/contract/test_settle.py runs both.

CREATE FUNCTION keep_jobs(
    p_now bigint, p_worker bigint, p_tokens uuid[], p_fences bigint[], p_kinds smallint[], p_failures bytea[],
    p_due_ats bigint[], p_started_ats bigint[],
    OUT kept_count integer, OUT woken_queues smallint[], OUT woken_slots smallint[], OUT woken_places bigint[]
) LANGUAGE plpgsql AS $$
DECLARE
    retry CONSTANT smallint := 4;
    given_back CONSTANT smallint := 6;
    history_max CONSTANT integer := 100;
    worker_name text := coalesce((SELECT w.name FROM workers w WHERE w.id = p_worker), '');
    long uuid[];
    has_alone boolean;
BEGIN
    WITH u AS MATERIALIZED (
        SELECT u.token, u.fence, u.kind, u.failure, u.started_at, CASE WHEN u.due_at > p_now THEN u.due_at END AS due_at
          FROM unnest(p_tokens, p_fences, p_kinds, p_failures, p_due_ats, p_started_ats)
               u(token, fence, kind, failure, due_at, started_at)
         WHERE u.kind >= retry
    ), k AS (
        -- The key's turn (head) is kept: a retry does not let the next job past.
        UPDATE live l
           SET holder = NULL, claimed_at = NULL, recorded = u.fence,
               attempts = l.attempts + (u.kind = retry)::integer,
               crashes = CASE WHEN u.kind = given_back THEN l.crashes ELSE 0 END,
               alone = l.alone AND u.kind = given_back,
               ready = u.due_at IS NULL,
               ready_at = CASE WHEN u.kind = given_back THEN l.ready_at ELSE p_now END,
               -- It was started in time; also a snooze, which counts as no attempt, must not end as expired.
               expires_at = CASE WHEN u.kind = given_back THEN l.expires_at END,
               due_at = u.due_at
          FROM u
         WHERE l.token = ANY (ARRAY[u.token]) AND l.fence = u.fence AND l.recorded < u.fence
     RETURNING l.token, l.queue_id, l.slot, l.place, l.ready, l.alone, l.attempts, u.fence, u.kind, u.failure, u.started_at
    ), h AS (
        INSERT INTO history (token, fence, kind, at, worker, failure, started_at)
        SELECT k.token, k.fence, 'failed', p_now, worker_name, k.failure, k.started_at FROM k WHERE k.kind = retry
            ON CONFLICT DO NOTHING
    ), w AS (
        SELECT k.queue_id, k.slot, min(k.place) AS place FROM k WHERE k.ready AND NOT k.alone GROUP BY k.queue_id, k.slot
    )
    SELECT (SELECT count(*) FROM k), (SELECT array_agg(k.token) FROM k WHERE k.attempts > history_max),
           (SELECT array_agg(w.queue_id) FROM w), (SELECT array_agg(w.slot) FROM w), (SELECT array_agg(w.place) FROM w),
           (SELECT bool_or(k.alone AND k.ready) FROM k)
      INTO kept_count, long, woken_queues, woken_slots, woken_places, has_alone;
    IF has_alone THEN
        PERFORM pg_notify(current_schema(), '{"a":true}');
    END IF;

    IF long IS NOT NULL THEN
        DELETE FROM history h
         USING unnest(long) t(token)
         WHERE h.token = ANY (ARRAY[t.token])
           AND h.no <= (SELECT x.no FROM history x WHERE x.token = t.token ORDER BY x.no DESC OFFSET history_max LIMIT 1);
    END IF;
END
$$;
