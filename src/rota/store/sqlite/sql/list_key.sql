-- list_key: the live jobs of a key, whatever their state.
--
-- Takes    :key · :queue id, null for any
-- Returns  rows: token
-- Locks    nothing
-- Plan     SEARCH live USING INDEX live_head; SEARCH live USING INDEX live_line: once a queue
-- Twin     none: PostgreSQL's list_jobs.sql filters by the key.

SELECT l.token
  FROM queues q
 CROSS JOIN live l INDEXED BY live_head
    ON l.queue_id = q.id AND l.key = :key AND l.head
 WHERE (:queue IS NULL OR q.id = :queue)
 UNION ALL
SELECT l.token
  FROM queues q
 CROSS JOIN live l INDEXED BY live_line
    ON l.queue_id = q.id AND l.key = :key AND NOT l.head AND l.key IS NOT NULL
 WHERE (:queue IS NULL OR q.id = :queue);
