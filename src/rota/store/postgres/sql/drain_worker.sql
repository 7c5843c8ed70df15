-- drain_worker: take a worker out of the ring; it may still settle.
--
-- Takes    p_worker bigint
-- Returns  nothing
-- Locks    the worker's row, then the house's
-- Plan     Index Scan using workers_pkey
-- Twin     store/sqlite/sql/drain_worker.sql; tests/contract/test_members.py runs both.

CREATE FUNCTION drain_worker(p_worker bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE workers SET is_draining = true WHERE id = p_worker AND closed_at IS NULL AND NOT is_draining;
    IF FOUND THEN
        UPDATE house SET epoch = epoch + 1;
        PERFORM pg_notify(current_schema(), '{"e":true}');
    END IF;
END
$$;
