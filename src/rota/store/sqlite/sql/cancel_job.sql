-- cancel_job: ask the worker that holds a job to end it.
--
-- Takes    ?1 seq
-- Returns  nothing
-- Locks    the write lock of its transaction
-- Plan     SEARCH live USING INTEGER PRIMARY KEY
-- Twin     store/postgres/sql/cancel_job.sql; tests/contract/test_cancel.py runs both.

UPDATE live SET cancel_asked = 1 WHERE seq = ?1;
