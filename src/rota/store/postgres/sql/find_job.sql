-- find_job: what is known of one job, live or finished.
--
-- Takes    p_now bigint · p_token uuid
-- Returns  at most one row, in the order of rota.model.job.JobRow
-- Locks    nothing
-- Plan     Index Scan using live_pkey and finished_pkey
-- Twin     store/sqlite/sql/find_job.sql; tests/contract/test_reading.py runs both.

CREATE FUNCTION find_job(p_now bigint, p_token uuid) RETURNS TABLE (
    token uuid, state text, queue text, task text, key text, slot smallint, priority smallint, fence bigint, attempts integer,
    crashes integer, payload bytea, codec smallint, meta bytea, seq bigint, due_at bigint, expires_at bigint, ready boolean,
    is_head boolean, is_alone boolean, cancel_asked boolean, holder text, claimed_at bigint, started_at bigint,
    settled_at bigint, result bytea, failure bytea
) LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
DECLARE
    now_us bigint := coalesce(p_now, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint);
BEGIN
    RETURN QUERY
    SELECT l.token,
           CASE WHEN l.holder IS NOT NULL THEN 'running' WHEN l.due_at > now_us THEN 'scheduled' ELSE 'waiting' END,
           (SELECT q.name FROM queues q WHERE q.id = l.queue_id), (SELECT t.name FROM tasks t WHERE t.id = l.task_id),
           l.key, l.slot, l.priority, l.fence, l.attempts, l.crashes, l.payload, l.codec, l.meta, l.seq, l.due_at,
           l.expires_at, l.ready, l.head, l.alone, l.cancel_asked, (SELECT w.name FROM workers w WHERE w.id = l.holder),
           l.claimed_at, NULL::bigint, NULL::bigint, NULL::bytea, NULL::bytea
      FROM live l
     WHERE l.token = p_token
     UNION ALL
    SELECT f.token, (ARRAY['succeeded', 'failed', 'cancelled', 'expired'])[f.state + 1],
           (SELECT q.name FROM queues q WHERE q.id = f.queue_id), (SELECT t.name FROM tasks t WHERE t.id = f.task_id),
           f.key, (f.hash16 >> 6)::smallint, f.priority, f.fence, f.attempts, f.crashes, f.payload, f.codec, f.meta,
           NULL::bigint, NULL::bigint, NULL::bigint, false, false, false, false,
           (SELECT w.name FROM workers w WHERE w.id = f.worker), NULL::bigint, f.started_at, f.settled_at, f.result, f.failure
      FROM finished f
     WHERE f.token = p_token;
END
$$;
