-- list_jobs: one page of live jobs, walked from the newest token down.
--
-- Takes    :before token, null for the newest · :queue, :task ids, null for any · :waiting, :scheduled, :running whether jobs
--          of these states are wanted · :now · :limit
-- Returns  rows, newest first: token
-- Locks    nothing
-- Plan     SEARCH live USING INDEX live_token
-- Twin     store/postgres/sql/list_jobs.sql; tests/contract/test_reading.py runs both.

SELECT token
  FROM live INDEXED BY live_token
 WHERE token < coalesce(:before, x'ffffffffffffffffffffffffffffffff')
   AND (:queue IS NULL OR queue_id = :queue)
   AND (:task IS NULL OR task_id = :task)
   AND CASE WHEN holder IS NOT NULL THEN :running WHEN due_at > :now THEN :scheduled ELSE :waiting END
 ORDER BY token DESC
 LIMIT :limit;
