-- list_queues: every queue with the number of its unfinished jobs.
--
-- Takes    nothing
-- Returns  rows by name: id, name, is_paused, unfinished
-- Locks    nothing
-- Plan     SCAN q USING INDEX sqlite_autoindex_queues_1; SEARCH c USING INTEGER PRIMARY KEY
-- Twin     store/postgres/sql/list_queues.sql; tests/contract/test_reading.py runs both.

SELECT q.id, q.name, q.is_paused, c.n FROM queues q JOIN counters c ON c.id = q.id ORDER BY q.name;
