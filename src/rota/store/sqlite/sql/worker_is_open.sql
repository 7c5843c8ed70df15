-- worker_is_open: whether a worker is known and has not been closed.
--
-- Takes    ?1 worker
-- Returns  no row, or: id
-- Locks    the write lock of its transaction
-- Plan     SEARCH workers USING INTEGER PRIMARY KEY
-- Twin     none: a part of PostgreSQL's release_jobs.sql.

SELECT id FROM workers WHERE id = ?1 AND closed_at IS NULL;
