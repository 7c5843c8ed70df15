-- intern_task: give a task its number.
--
-- Takes    ?1 name
-- Returns  nothing
-- Locks    the write lock of its transaction
-- Plan     SEARCH tasks USING COVERING INDEX sqlite_autoindex_tasks_1
-- Twin     store/postgres/sql/intern_names.sql; tests/contract/test_reading.py runs both.

INSERT INTO tasks (name) VALUES (?1) ON CONFLICT (name) DO NOTHING;
