-- count_waiting: how many jobs of a queue nobody holds, or more than that if they are certainly fewer than p_max.
--
-- Takes    p_queue smallint · p_max bigint
-- Returns  bigint
-- Locks    nothing
-- Plan     the size of the table; Seq Scan on live only when it could hold p_max jobs
-- Twin     store/sqlite/sql/count_waiting.sql; tests/contract/test_submit.py runs both.

CREATE FUNCTION count_waiting(p_queue smallint, p_max bigint) RETURNS bigint LANGUAGE plpgsql STABLE AS $$
DECLARE
    job_bytes_min CONSTANT integer := 100;
    most bigint := pg_relation_size('live') / job_bytes_min;
BEGIN
    IF most < p_max THEN
        RETURN most;
    END IF;
    RETURN (SELECT count(*) FROM live l WHERE l.queue_id = p_queue AND l.holder IS NULL);
END
$$;
