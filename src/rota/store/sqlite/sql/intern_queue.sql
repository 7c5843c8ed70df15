-- intern_queue: give a queue its number, and the counter of its unfinished jobs.
--
-- Takes    ?1 name
-- Returns  no row when the name has one already, else: id
-- Locks    the write lock of its transaction
-- Plan     SEARCH queues USING COVERING INDEX sqlite_autoindex_queues_1
-- Twin     store/postgres/sql/intern_names.sql; tests/contract/test_reading.py runs both.

INSERT INTO queues (name) VALUES (?1) ON CONFLICT (name) DO NOTHING RETURNING id;
