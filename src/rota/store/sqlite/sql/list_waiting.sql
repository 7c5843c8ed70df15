-- list_waiting: jobs that are due and that nobody holds, in no order.
--
-- Takes    ?1 now · ?2 how many at most
-- Returns  rows: token
-- Locks    nothing
-- Plan     SCAN live USING INDEX live_claimable, live_line, live_alone and live_due, one after the other
-- Twin     none: PostgreSQL's list_jobs.sql filters by the state.

SELECT token FROM live INDEXED BY live_claimable WHERE ready AND holder IS NULL AND NOT alone
 UNION ALL
SELECT token FROM live INDEXED BY live_line WHERE NOT head AND key IS NOT NULL AND due_at IS NULL
 UNION ALL
SELECT token FROM live INDEXED BY live_alone WHERE alone AND holder IS NULL
 UNION ALL
SELECT token FROM live INDEXED BY live_due WHERE due_at IS NOT NULL AND due_at <= ?1
 LIMIT ?2;
