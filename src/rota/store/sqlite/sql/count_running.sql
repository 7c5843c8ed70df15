-- count_running: how many of these jobs are held, for each queue.
--
-- Takes    ?1 the tokens of all claims, as carray
-- Returns  rows: queue_id, count
-- Locks    nothing
-- Plan     SEARCH live USING INDEX live_token
-- Twin     none: a part of PostgreSQL's list_queues.sql.

SELECT queue_id, count(*)
  FROM live
 WHERE token IN (SELECT value FROM carray(?1)) AND holder IS NOT NULL
 GROUP BY queue_id;
