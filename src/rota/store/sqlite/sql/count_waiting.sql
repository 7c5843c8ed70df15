-- count_waiting: how many unfinished jobs a queue had when they were last counted.
--
-- Takes    ?1 queue
-- Returns  one row: n
-- Locks    the write lock of its transaction
-- Plan     SEARCH counters USING INTEGER PRIMARY KEY
-- Twin     store/postgres/sql/count_waiting.sql; tests/contract/test_submit.py runs both.

SELECT n FROM counters WHERE id = ?1;
