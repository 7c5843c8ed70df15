-- count_finished: how many finished jobs are kept, by state, for people.
--
-- Takes    nothing
-- Returns  state text, jobs bigint
-- Locks    nothing
-- Plan     Seq Scan on finished: it counts every job
-- Twin     store/sqlite/sql/count_finished.sql; tests/contract/test_reading.py runs both.

CREATE FUNCTION count_finished() RETURNS TABLE (state text, jobs bigint) LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT (ARRAY['succeeded', 'failed', 'cancelled', 'expired'])[f.state + 1], count(*) FROM finished f GROUP BY f.state;
END
$$;
