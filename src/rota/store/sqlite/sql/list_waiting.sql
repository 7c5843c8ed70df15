-- list_waiting: jobs that are due and that nobody holds, in no order.
--
-- Takes    ?1 now · ?2 how many at most
-- Returns  rows: token
-- Locks    nothing
-- Plan     SCAN live USING INDEX live_claimable, live_line and live_alone, one after the other; then SEARCH l USING INDEX
--          live_due, once a queue and slot, for those that nobody has staged yet
-- Twin     none: PostgreSQL's list_jobs.sql filters by the state.

WITH RECURSIVE slots (slot) AS (SELECT 0 UNION ALL SELECT slot + 1 FROM slots WHERE slot < 1023)
SELECT token FROM live INDEXED BY live_claimable WHERE ready AND holder IS NULL AND NOT alone
 UNION ALL
SELECT token FROM live INDEXED BY live_line WHERE NOT head AND key IS NOT NULL AND due_at IS NULL
 UNION ALL
SELECT token FROM live INDEXED BY live_alone WHERE alone AND holder IS NULL
 UNION ALL
SELECT l.token
  FROM queues q
 CROSS JOIN slots s
 CROSS JOIN live l INDEXED BY live_due
    ON l.queue_id = q.id AND l.slot = s.slot AND l.due_at <= ?1
 LIMIT ?2;
