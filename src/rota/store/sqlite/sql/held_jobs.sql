-- held_jobs: which of these jobs a worker holds.
--
-- Takes    ?1 tokens, as carray · ?2 worker
-- Returns  rows by seq: seq, token, queue_id, slot, priority, key, head, crashes
-- Locks    nothing
-- Plan     SEARCH live USING INDEX live_token
-- Twin     store/postgres/sql/held_jobs.sql; tests/contract/test_held.py runs both.

SELECT seq, token, queue_id, slot, priority, key, head, crashes
  FROM live
 WHERE token IN (SELECT value FROM carray(?1)) AND holder = ?2
 ORDER BY seq;
