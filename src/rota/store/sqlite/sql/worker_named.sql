-- worker_named: whether an open worker has this name.
--
-- Takes    ?1 name
-- Returns  no row, or: id
-- Locks    the write lock of its transaction
-- Plan     SEARCH workers USING COVERING INDEX workers_open
-- Twin     none: a part of PostgreSQL's register_worker.sql.

SELECT id FROM workers WHERE name = ?1 AND closed_at IS NULL;
