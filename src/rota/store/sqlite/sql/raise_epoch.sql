-- raise_epoch: the ring has changed.
--
-- Takes    nothing
-- Returns  nothing
-- Locks    the write lock of its transaction
-- Plan     SEARCH house USING INTEGER PRIMARY KEY
-- Twin     none: a part of PostgreSQL's register_worker.sql, drain_worker.sql and close_worker.sql.

UPDATE house SET epoch = epoch + 1 WHERE id = 1;
