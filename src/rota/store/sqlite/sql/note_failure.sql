-- note_failure: tell in a job's story of a failed attempt that is followed by another. Goes before keep_job, which yields.
--
-- Takes    ?1 now · ?2 worker; then seq, token, fence, started_at, error_type, error_message, error_traceback. The row of values
--          is repeated (bulk.py).
-- Returns  nothing
-- Locks    the write lock of its transaction
-- Plan     SEARCH l USING INTEGER PRIMARY KEY, once an outcome
-- Twin     none: a part of PostgreSQL's keep_jobs.sql.

INSERT INTO history (at, worker, kind, token, fence, started_at, error_type, error_message, error_traceback)
SELECT ?1, ?2, 'failed', l.token, l.fence, v.column4, v.column5, v.column6, v.column7
  FROM (VALUES (?, ?, ?, ?, ?, ?, ?)) v
 CROSS JOIN live l
 WHERE l.seq = v.column1 AND l.token = v.column2 AND l.fence = v.column3 AND l.yielded < l.fence
    ON CONFLICT (token, fence, kind) DO NOTHING;
