-- keep_job: let a job go back into the line, or wait for its backoff, if its fence stands and nothing was recorded under it.
--
-- Takes    seq, token, fence, ready, due_at, attempts to add, whether the run ended by itself (which clears suspicion). The row
--          of values is repeated (bulk.py).
-- Returns  nothing; the number of changes tells how many were taken
-- Locks    the write lock of its transaction
-- Plan     SEARCH live USING INTEGER PRIMARY KEY, once an outcome
-- Twin     store/postgres/sql/keep_jobs.sql; tests/contract/test_settle.py runs both.

UPDATE live
   SET holder = NULL, claimed_at = NULL, ready = v.column4, due_at = v.column5, attempts = attempts + v.column6,
       crashes = CASE WHEN v.column7 THEN 0 ELSE crashes END, alone = CASE WHEN v.column7 THEN 0 ELSE alone END,
       expires_at = CASE WHEN v.column7 THEN NULL ELSE expires_at END, yielded = fence
  FROM (VALUES (?, ?, ?, ?, ?, ?, ?)) v
 WHERE live.seq = v.column1 AND live.token = v.column2 AND live.fence = v.column3 AND live.yielded < live.fence;
