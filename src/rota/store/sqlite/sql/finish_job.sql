-- finish_job: write one job into finished, if its fence stands and nothing has been recorded under it.
--
-- Takes    ?1 now · ?2 worker or null; then seq, token, fence, whether what was recorded does not matter (a cancel, a crash),
--          state, attempts to add, crashes to add (null: set to none), started_at, result, error_type, error_message,
--          error_traceback. The row of values is repeated (bulk.py).
-- Returns  nothing; the number of changes tells how many were taken. delete_jobs follows in the same transaction.
-- Locks    the write lock of its transaction
-- Plan     SEARCH l USING INTEGER PRIMARY KEY, once an outcome
-- Twin     store/postgres/sql/settle_jobs.sql; tests/contract/test_settle.py runs both.

INSERT INTO finished (settled_at, worker, token, state, queue_id, task_id, hash16, priority, key, fence, attempts, crashes, yielded,
                      submitted_at, started_at, codec, meta, error_type, error_message, error_traceback, result, payload)
SELECT ?1, ?2, l.token, v.column5, l.queue_id, l.task_id, l.hash16, l.priority, l.key, l.fence, l.attempts + v.column6,
       CASE WHEN v.column7 IS NULL THEN 0 ELSE l.crashes + v.column7 END, l.yielded, l.submitted_at, v.column8, l.codec, l.meta,
       v.column10, v.column11, v.column12, v.column9, l.payload
  FROM (VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)) v
 CROSS JOIN live l
 -- The fence is what refuses a run that no longer holds its job.
 WHERE l.seq = v.column1 AND l.token = v.column2 AND l.fence = v.column3 AND (v.column4 OR l.yielded < l.fence);
