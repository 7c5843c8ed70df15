-- drain_worker: take a worker out of the ring.
--
-- Takes    ?1 worker
-- Returns  no row when nothing changed, else: is_alone
-- Locks    the write lock of its transaction
-- Plan     SEARCH workers USING INTEGER PRIMARY KEY
-- Twin     store/postgres/sql/drain_worker.sql; tests/contract/test_close.py runs both.

UPDATE workers SET is_draining = 1 WHERE id = ?1 AND closed_at IS NULL AND NOT is_draining RETURNING is_alone;
