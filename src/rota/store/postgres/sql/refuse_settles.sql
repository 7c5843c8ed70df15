-- refuse_settles: find the outcomes that were not recorded, now or before, and note each in its job's history.
--
-- Takes    p_now bigint · p_worker bigint · arrays side by side as settle_jobs, which is the only caller, after it recorded
-- Returns  one row: stale_tokens, stale_fences. What was recorded before, its reply having been lost, is not among them.
-- Locks    nothing but its own new rows
-- Plan     Index Scan using live_pkey, finished_pkey and history_pkey, once an outcome
-- Twin     store/sqlite/sql/recorded_before.sql; tests/contract/test_settle.py runs both.

CREATE FUNCTION refuse_settles(
    p_now bigint, p_worker bigint, p_tokens uuid[], p_fences bigint[], p_kinds smallint[], p_failures bytea[],
    p_started_ats bigint[], OUT stale_tokens uuid[], OUT stale_fences bigint[]
) LANGUAGE plpgsql AS $$
DECLARE
    -- For so many fences the history is complete: it keeps 100 entries, and none has more than three (rota.model.limits).
    fences_told CONSTANT integer := 25;
    worker_name text := coalesce((SELECT w.name FROM workers w WHERE w.id = p_worker), '');
BEGIN
    WITH u AS MATERIALIZED (
        SELECT u.token, u.fence, coalesce(u.kind, 0) AS kind, u.failure, u.started_at
          FROM unnest(p_tokens, p_fences, p_kinds, p_failures, p_started_ats) u(token, fence, kind, failure, started_at)
    ), s AS MATERIALIZED (
        SELECT u.*
          FROM u
         WHERE (SELECT true FROM finished f
                 WHERE f.token = u.token AND f.fence = u.fence AND f.state = u.kind LIMIT 1) IS NULL
           AND (SELECT true FROM history h
                 WHERE h.token = u.token AND h.fence = u.fence
                   AND CASE WHEN u.kind <= 3 THEN h.kind = 'reopened' AND h.state = u.kind
                            WHEN u.kind = 4 THEN h.kind = 'failed' END LIMIT 1) IS NULL
           AND (u.kind <= 4
                -- Every other end of a run is told in the story. So a run of which nothing is told, while another one followed
                -- it, was ended by a snooze or a return.
                OR (SELECT true FROM history h
                     WHERE h.token = u.token AND h.fence = u.fence
                       AND (h.kind IN ('failed', 'reopened')
                            -- A run that was given back may still yield, as long as nobody has claimed its job.
                            OR h.kind IN ('crashed', 'released')
                               AND (SELECT true FROM live l WHERE l.token = u.token AND l.recorded = u.fence LIMIT 1) IS NULL
                               AND (SELECT true FROM finished f
                                     WHERE f.token = u.token AND f.recorded = u.fence LIMIT 1) IS NULL)
                     LIMIT 1)
                OR (SELECT true FROM live l
                     WHERE l.token = u.token
                       AND (l.recorded = u.fence OR u.fence < l.fence AND u.fence > l.fence - fences_told) LIMIT 1) IS NULL
                   AND (SELECT true FROM finished f
                         WHERE f.token = u.token
                           AND (f.recorded = u.fence OR u.fence < f.fence AND u.fence > f.fence - fences_told) LIMIT 1) IS NULL)
    ), h AS (
        INSERT INTO history (token, fence, kind, at, worker, failure, started_at)
        SELECT s.token, s.fence, 'stale', p_now, worker_name, s.failure, s.started_at
          FROM s
         WHERE (SELECT true FROM live l WHERE l.token = s.token LIMIT 1)
            OR (SELECT true FROM finished f WHERE f.token = s.token LIMIT 1)
            ON CONFLICT DO NOTHING
    )
    SELECT array_agg(s.token), array_agg(s.fence) INTO stale_tokens, stale_fences FROM s;
END
$$;
