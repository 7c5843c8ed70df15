-- list_jobs: one page of jobs, newest token first, without payloads and results.
--
-- Takes    p_now bigint · p_states text[] · p_task, p_queue, p_key text · p_before uuid · p_limit integer; null means any
-- Returns  rows in the order of rota.model.job.JobRow
-- Locks    nothing
-- Plan     Index Scan Backward using live_pkey and finished_pkey, as far as the page needs; finished_unwell where success is
--          not asked for
-- Twin     store/sqlite/sql/list_jobs.sql; tests/contract/test_reading.py runs both.

CREATE FUNCTION list_jobs(
    p_now bigint, p_states text[], p_task text, p_queue text, p_key text, p_before uuid, p_limit integer
) RETURNS TABLE (
    token uuid, state text, queue text, task text, key text, slot smallint, priority smallint, fence bigint, attempts integer,
    crashes integer, payload bytea, codec smallint, meta bytea, seq bigint, due_at bigint, expires_at bigint, ready boolean,
    is_head boolean, is_alone boolean, cancel_asked boolean, holder text, claimed_at bigint, started_at bigint,
    settled_at bigint, result bytea, failure bytea
) LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
DECLARE
    now_us bigint := coalesce(p_now, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint);
    the_before uuid := coalesce(p_before, 'ffffffff-ffff-ffff-ffff-ffffffffffff');
    the_task integer := (SELECT t.id FROM tasks t WHERE t.name = p_task);
    the_queue smallint := (SELECT q.id FROM queues q WHERE q.name = p_queue);
    finals smallint[] := ARRAY(
        SELECT n.no FROM (VALUES (0::smallint, 'succeeded'), (1, 'failed'), (2, 'cancelled'), (3, 'expired')) n(no, name)
         WHERE p_states IS NULL OR n.name = ANY (p_states));
    found_tokens uuid[];
BEGIN
    IF (p_task IS NOT NULL AND the_task IS NULL) OR (p_queue IS NOT NULL AND the_queue IS NULL) THEN
        RETURN;
    END IF;
    IF 0 = ANY (finals) THEN
        found_tokens := ARRAY(
            SELECT f.token
              FROM finished f
             WHERE f.token < the_before AND f.state = ANY (finals)
               AND (the_task IS NULL OR f.task_id = the_task) AND (the_queue IS NULL OR f.queue_id = the_queue)
               AND (p_key IS NULL OR f.key = p_key)
             ORDER BY f.token DESC LIMIT p_limit);
    ELSIF cardinality(finals) > 0 THEN
        found_tokens := ARRAY(
            SELECT f.token
              FROM finished f
             WHERE f.token < the_before AND f.state <> 0 AND f.state = ANY (finals)
               AND (the_task IS NULL OR f.task_id = the_task) AND (the_queue IS NULL OR f.queue_id = the_queue)
               AND (p_key IS NULL OR f.key = p_key)
             ORDER BY f.token DESC LIMIT p_limit);
    END IF;
    IF p_states IS NULL OR p_states && ARRAY['waiting', 'scheduled', 'running'] THEN
        found_tokens := found_tokens || ARRAY(
            SELECT l.token
              FROM live l
             WHERE l.token < the_before
               AND (p_states IS NULL OR CASE WHEN l.holder IS NOT NULL THEN 'running' WHEN l.due_at > now_us THEN 'scheduled'
                                                 ELSE 'waiting' END = ANY (p_states))
               AND (the_task IS NULL OR l.task_id = the_task) AND (the_queue IS NULL OR l.queue_id = the_queue)
               AND (p_key IS NULL OR l.key = p_key)
             ORDER BY l.token DESC LIMIT p_limit);
    END IF;
    RETURN QUERY
    SELECT j.token, j.state, j.queue, j.task, j.key, j.slot, j.priority, j.fence, j.attempts, j.crashes, ''::bytea, j.codec,
           j.meta, j.seq, j.due_at, j.expires_at, j.ready, j.is_head, j.is_alone, j.cancel_asked, j.holder, j.claimed_at,
           j.started_at, j.settled_at, NULL::bytea, j.failure
      FROM (SELECT u.token FROM unnest(found_tokens) u(token) ORDER BY u.token DESC LIMIT p_limit) u
     CROSS JOIN LATERAL find_job(now_us, u.token) j
     ORDER BY j.token DESC;
END
$$;
