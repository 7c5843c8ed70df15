-- list_alone: suspects that wait to be run alone, oldest first; not those of paused queues, which nobody may start.
--
-- Takes    ?1 how many at most · ?2 JSON list of queues, ?3 of tasks: only of these; NULL for all
-- Returns  rows: token, queue, task
-- Locks    nothing
-- Plan     SCAN l USING INDEX live_alone
-- Twin     store/postgres/sql/list_alone.sql; tests/contract/test_alone.py runs both.

SELECT l.token, q.name, t.name
  FROM live l INDEXED BY live_alone
 CROSS JOIN queues q ON q.id = l.queue_id
 CROSS JOIN tasks t ON t.id = l.task_id
 WHERE l.alone AND l.ready AND l.holder IS NULL AND NOT q.is_paused
   AND (?2 IS NULL OR q.name IN (SELECT value FROM json_each(?2)))
   AND (?3 IS NULL OR t.name IN (SELECT value FROM json_each(?3)))
 ORDER BY l.seq
 LIMIT ?1;
