-- all_names: the numbers of all queues and tasks. There are few.
--
-- Takes    nothing
-- Returns  rows: whether it is a task, name, id
-- Locks    nothing
-- Plan     SCAN queues; SCAN tasks
-- Twin     none: PostgreSQL's intern_names.sql returns them.

SELECT 0, name, id FROM queues UNION ALL SELECT 1, name, id FROM tasks;
