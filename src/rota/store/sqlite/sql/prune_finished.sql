-- prune_finished: remove finished jobs.
--
-- Takes    ?1 their no, as carray
-- Returns  nothing
-- Locks    the write lock of its transaction
-- Plan     SEARCH finished USING INTEGER PRIMARY KEY
-- Twin     store/postgres/sql/prune_finished.sql; tests/contract/test_house.py runs both.

DELETE FROM finished WHERE no IN (SELECT value FROM carray(?1));
