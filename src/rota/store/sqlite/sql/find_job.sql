-- find_job: all that is known of a job in its own row, live or finished.
--
-- Takes    ?1 token
-- Returns  no row, or the columns of reading.row_of
-- Locks    nothing
-- Plan     SEARCH l USING INDEX live_token; SEARCH f USING INDEX finished_token
-- Twin     store/postgres/sql/find_job.sql; tests/contract/test_reading.py runs both.

SELECT NULL, l.token, q.name, t.name, l.key, l.slot, l.priority, l.fence, l.attempts, l.crashes, l.payload, l.codec, l.meta,
       l.seq, l.due_at, l.expires_at, l.ready, l.head, l.alone, l.cancel_asked,
       CASE WHEN l.holder IS NOT NULL THEN coalesce(w.name, '') END, l.claimed_at, NULL, NULL, NULL, NULL, NULL, NULL
  FROM live l
  JOIN queues q ON q.id = l.queue_id
  JOIN tasks t ON t.id = l.task_id
  LEFT JOIN workers w ON w.id = l.holder
 WHERE l.token = ?1
 UNION ALL
SELECT f.state, f.token, q.name, t.name, f.key, f.hash16 >> 6, f.priority, f.fence, f.attempts, f.crashes, f.payload, f.codec,
       f.meta, NULL, NULL, NULL, 0, 0, 0, 0, w.name, NULL, f.started_at, f.settled_at, f.result, f.error_type, f.error_message,
       f.error_traceback
  FROM finished f
  JOIN queues q ON q.id = f.queue_id
  JOIN tasks t ON t.id = f.task_id
  LEFT JOIN workers w ON w.id = f.worker
 WHERE f.token = ?1;
