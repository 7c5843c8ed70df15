-- list_scheduled: jobs for later, in no order.
--
-- Takes    ?1 now · ?2 how many at most
-- Returns  rows: token
-- Locks    nothing
-- Plan     SEARCH l USING INDEX live_due, once a queue and slot: those that fell due and are not staged yet are not read
-- Twin     none: PostgreSQL's list_jobs.sql filters by the state.

WITH RECURSIVE slots (slot) AS (SELECT 0 UNION ALL SELECT slot + 1 FROM slots WHERE slot < 1023)
SELECT l.token
  FROM queues q
 CROSS JOIN slots s
 CROSS JOIN live l INDEXED BY live_due
    ON l.queue_id = q.id AND l.slot = s.slot AND l.due_at > ?1
 LIMIT ?2;
