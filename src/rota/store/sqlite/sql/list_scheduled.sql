-- list_scheduled: jobs for later, in no order.
--
-- Takes    ?1 now · ?2 how many at most
-- Returns  rows: token
-- Locks    nothing
-- Plan     SCAN live USING INDEX live_due
-- Twin     none: PostgreSQL's list_jobs.sql filters by the state.

SELECT token FROM live INDEXED BY live_due WHERE due_at IS NOT NULL AND due_at > ?1 LIMIT ?2;
