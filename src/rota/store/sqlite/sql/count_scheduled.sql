-- count_scheduled: how many jobs of each queue are for later.
--
-- Takes    ?1 now
-- Returns  rows: queue_id, count
-- Locks    nothing
-- Plan     SCAN live USING COVERING INDEX live_due
-- Twin     none: a part of PostgreSQL's list_queues.sql.

SELECT queue_id, count(*) FROM live INDEXED BY live_due WHERE due_at IS NOT NULL AND due_at > ?1 GROUP BY queue_id;
