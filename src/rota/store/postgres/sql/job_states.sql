-- job_states: the state of each token that is known.
--
-- Takes    p_now bigint · p_tokens uuid[]
-- Returns  token, state text, in no order
-- Locks    nothing
-- Plan     Index Scan using live_pkey and finished_pkey, once a token
-- Twin     store/sqlite/sql/state_of.sql; tests/contract/test_reading.py runs both.

CREATE FUNCTION job_states(p_now bigint, p_tokens uuid[]) RETURNS TABLE (token uuid, state text)
LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
DECLARE
    now_us bigint := coalesce(p_now, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint);
BEGIN
    -- One statement, one snapshot: a job on its way from live to finished is seen once.
    RETURN QUERY
    SELECT u.token, x.state
      FROM unnest(p_tokens) u(token)
     CROSS JOIN LATERAL (
           SELECT CASE WHEN l.holder IS NOT NULL THEN 'running' WHEN l.due_at > now_us THEN 'scheduled' ELSE 'waiting' END AS state
             FROM live l WHERE l.token = u.token
            UNION ALL
           SELECT (ARRAY['succeeded', 'failed', 'cancelled', 'expired'])[f.state + 1] FROM finished f WHERE f.token = u.token
            LIMIT 1) x;
END
$$;
