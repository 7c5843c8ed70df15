-- close_worker: declare a worker dead. What it held is released afterwards, in another transaction.
--
-- Takes    p_now bigint · p_worker bigint
-- Returns  boolean: whether this call did it
-- Locks    the worker's row FOR UPDATE first: a plain UPDATE would not wait for the key share of a claim in flight, and what
--          that claims would be held by a closed worker for ever. Then the house's row.
-- Plan     Index Scan using workers_pkey
-- Twin     store/sqlite/sql/close_worker.sql; tests/contract/test_close.py runs both.

CREATE FUNCTION close_worker(p_now bigint, p_worker bigint) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    now_us bigint := coalesce(p_now, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint);
    was_alone boolean;
BEGIN
    PERFORM FROM workers WHERE id = p_worker FOR UPDATE;

    -- step: worker locked

    UPDATE workers SET closed_at = now_us WHERE id = p_worker AND closed_at IS NULL RETURNING is_alone INTO was_alone;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    IF NOT was_alone THEN
        UPDATE house SET epoch = epoch + 1;
        PERFORM pg_notify(current_schema(), '{"e":true}');
    END IF;
    RETURN true;
END
$$;
