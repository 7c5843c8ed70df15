-- page_of_jobs: the rows of a page, without payloads and results.
--
-- Takes    ?1 tokens, as carray
-- Returns  rows in the columns of reading.row_of, newest token first
-- Locks    nothing
-- Plan     SEARCH l USING INDEX live_token; SEARCH f USING INDEX finished_token: once a token
-- Twin     none: a part of PostgreSQL's list_jobs.sql.

SELECT NULL AS state, l.token AS token, q.name, t.name, l.key, l.slot, l.priority, l.fence, l.attempts, l.crashes, x'', l.codec,
       l.meta, l.seq, l.due_at, l.expires_at, l.ready, l.head, l.alone, l.cancel_asked,
       CASE WHEN l.holder IS NOT NULL THEN coalesce(w.name, '') END, l.claimed_at, NULL, NULL, NULL, NULL, NULL, NULL
  FROM live l
  JOIN queues q ON q.id = l.queue_id
  JOIN tasks t ON t.id = l.task_id
  LEFT JOIN workers w ON w.id = l.holder
 WHERE l.token IN (SELECT value FROM carray(?1))
 UNION ALL
SELECT f.state, f.token, q.name, t.name, f.key, f.hash16 >> 6, f.priority, f.fence, f.attempts, f.crashes, x'', f.codec, f.meta,
       NULL, NULL, NULL, 0, 0, 0, 0, w.name, NULL, f.started_at, f.settled_at, NULL, f.error_type, f.error_message,
       f.error_traceback
  FROM finished f
  JOIN queues q ON q.id = f.queue_id
  JOIN tasks t ON t.id = f.task_id
  LEFT JOIN workers w ON w.id = f.worker
 WHERE f.token IN (SELECT value FROM carray(?1))
 ORDER BY token DESC;
