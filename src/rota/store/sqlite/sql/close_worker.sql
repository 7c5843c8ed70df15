-- close_worker: declare a worker dead. A claim of it that is being written is waited for: writers are serial.
--
-- Takes    ?1 worker · ?2 now
-- Returns  no row when this call did not close it, else: is_alone
-- Locks    the write lock of its transaction
-- Plan     SEARCH workers USING INTEGER PRIMARY KEY
-- Twin     store/postgres/sql/close_worker.sql; tests/contract/test_close.py runs both.

UPDATE workers SET closed_at = ?2 WHERE id = ?1 AND closed_at IS NULL RETURNING is_alone;
