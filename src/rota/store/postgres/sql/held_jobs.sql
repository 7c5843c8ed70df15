-- held_jobs: all that a worker holds, by seq.
--
-- Takes    p_worker bigint
-- Returns  the columns of claim_jobs up to queue_id
-- Locks    nothing
-- Plan     Index Scan using claims_pkey, then live_pkey, once a job
-- Twin     store/sqlite/sql/held_jobs.sql; tests/contract/test_claims.py runs both.

CREATE FUNCTION held_jobs(p_worker bigint) RETURNS TABLE (
    seq bigint, token uuid, task_id integer, slot smallint, key text, priority smallint, payload bytea, codec smallint,
    meta bytea, fence bigint, attempts integer, crashes integer, cancel_asked boolean, expires_at bigint, claim_no bigint,
    queue_id smallint
) LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT x.seq, x.token, x.task_id, x.slot, x.key, x.priority, x.payload, x.codec, x.meta, x.fence, x.attempts, x.crashes,
           x.cancel_asked, x.expires_at, c.no, x.queue_id
      FROM (SELECT t.token, max(c.no) AS no FROM claims c CROSS JOIN unnest(c.tokens) t(token)
             WHERE c.worker = p_worker GROUP BY t.token) c
     CROSS JOIN LATERAL (SELECT l.* FROM live l WHERE l.token = c.token AND l.holder = p_worker LIMIT 1) x
     ORDER BY x.seq;
END
$$;
