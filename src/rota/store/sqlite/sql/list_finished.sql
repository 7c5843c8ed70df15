-- list_finished: one page of finished jobs, walked from the newest token down.
--
-- Takes    :before token, null for the newest · :queue, :task ids, null for any · :key, null for any · :states JSON list of
--          states · :limit
-- Returns  rows, newest first: token
-- Locks    nothing
-- Plan     SEARCH finished USING INDEX finished_token
-- Twin     none: a part of PostgreSQL's list_jobs.sql.

SELECT token
  FROM finished INDEXED BY finished_token
 WHERE token < coalesce(:before, x'ffffffffffffffffffffffffffffffff')
   AND (:queue IS NULL OR queue_id = :queue)
   AND (:task IS NULL OR task_id = :task)
   AND (:key IS NULL OR key = :key)
   AND state IN (SELECT value FROM json_each(:states))
 ORDER BY token DESC
 LIMIT :limit;
