-- list_unwell: one page of the jobs that ended in one of the states other than success.
--
-- Takes    :state · :before token, null for the newest · :queue, :task ids, null for any · :key, null for any · :limit
-- Returns  rows, newest first: token
-- Locks    nothing
-- Plan     SEARCH finished USING INDEX finished_unwell
-- Twin     none: a part of PostgreSQL's list_jobs.sql.

SELECT token
  FROM finished INDEXED BY finished_unwell
 WHERE state <> 0 AND state = :state
   AND token < coalesce(:before, x'ffffffffffffffffffffffffffffffff')
   AND (:queue IS NULL OR queue_id = :queue)
   AND (:task IS NULL OR task_id = :task)
   AND (:key IS NULL OR key = :key)
 ORDER BY token DESC
 LIMIT :limit;
