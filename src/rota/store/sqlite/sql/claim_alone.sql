-- claim_alone: the oldest suspect that may be run now.
--
-- Takes    ?1 JSON list of the tasks that are known
-- Returns  no row, or: seq
-- Locks    nothing; inside of the claim's transaction the write lock
-- Plan     SCAN l USING INDEX live_alone
-- Twin     store/postgres/sql/claim_alone.sql; tests/contract/test_alone.py runs both.

SELECT l.seq
  FROM live l INDEXED BY live_alone
  JOIN queues q ON q.id = l.queue_id
 WHERE l.alone AND l.ready AND l.holder IS NULL AND NOT q.is_paused
   AND l.task_id IN (SELECT value FROM json_each(?1))
 ORDER BY l.seq
 LIMIT 1;
