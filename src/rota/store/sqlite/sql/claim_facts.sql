-- claim_facts: what a claim must know before it looks for jobs.
--
-- Takes    ?1 worker · ?2 queue (null when it does not matter)
-- Returns  one row: the worker is open, the queue is paused, epoch, the highest task id
-- Locks    nothing; inside of the claim's transaction the write lock, so that nobody closes the worker meanwhile
-- Plan     SCAN house (one row); SEARCH w, q USING INTEGER PRIMARY KEY
-- Twin     none: a part of PostgreSQL's claim_jobs.sql.

SELECT coalesce(w.id IS NOT NULL AND w.closed_at IS NULL, 0), coalesce(q.is_paused, 0), house.epoch, (SELECT max(id) FROM tasks)
  FROM house
  LEFT JOIN workers w ON w.id = ?1
  LEFT JOIN queues q ON q.id = ?2
 WHERE house.id = 1;
