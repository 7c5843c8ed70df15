-- job_history: what happened to a job, oldest first.
--
-- Takes    p_token uuid
-- Returns  rows in the order of rota.model.job.HistoryEntry
-- Locks    nothing
-- Plan     Index Scan using history_pkey
-- Twin     store/sqlite/sql/job_history.sql; tests/contract/test_reading.py runs both.

CREATE FUNCTION job_history(p_token uuid) RETURNS TABLE (
    at bigint, kind text, fence bigint, worker text, failure bytea, started_at bigint
) LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT h.at, h.kind, h.fence, h.worker, h.failure, h.started_at FROM history h WHERE h.token = p_token ORDER BY h.at, h.no;
END
$$;
