-- count_finished: how many finished jobs are kept, by state. Counted as they come and go.
--
-- Takes    nothing
-- Returns  rows: state, count
-- Locks    nothing
-- Plan     SEARCH counters USING INTEGER PRIMARY KEY
-- Twin     store/postgres/sql/count_finished.sql; tests/contract/test_reading.py runs both.

SELECT -1 - id, n FROM counters WHERE id < 0;
