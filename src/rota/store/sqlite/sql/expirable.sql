-- expirable: jobs whose time has passed and that nobody has ever started.
--
-- Takes    ?1 now · ?2 how many at most
-- Returns  rows: seq, token, fence
-- Locks    nothing; before finish_job the write lock of its transaction
-- Plan     SEARCH live USING INDEX live_expires
-- Twin     store/postgres/sql/expire_jobs.sql; tests/contract/test_expire.py runs both.

SELECT seq, token, fence
  FROM live INDEXED BY live_expires
 WHERE expires_at <= ?1 AND holder IS NULL AND attempts = 0 AND crashes = 0
 ORDER BY expires_at
 LIMIT ?2;
