-- insert_job: put one job into live that has a key and is due; it becomes the key's head if there is none.
--
-- Takes    seq, token, queue_id, task_id, hash16, priority, key, due_at (null), expires_at, submitted_at, codec, meta, payload.
--          No job before it in this call has the same key. The row of values is repeated (bulk.py).
-- Returns  nothing; a token that is in live already is left alone, which shows in the number of changes
-- Locks    the write lock of its transaction
-- Plan     SEARCH h USING COVERING INDEX live_head
-- Twin     store/postgres/sql/submit_jobs.sql; tests/contract/test_submit.py runs both.

INSERT INTO live (seq, token, queue_id, task_id, hash16, priority, key, due_at, expires_at, submitted_at, codec, meta, payload,
                  head, ready, ready_at)
SELECT column1, column2, column3, column4, column5, column6, column7, column8, column9, column10, column11, column12, column13,
       is_head, is_head, CASE WHEN is_head THEN column10 END
  FROM (SELECT *,
               -- Writers are serial, so nobody can make another head between this look and the insert.
               (SELECT 1 FROM live h WHERE h.queue_id = column3 AND h.key = column7 AND h.head) IS NULL AS is_head
          FROM (VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)))
 WHERE true
    ON CONFLICT (token) DO NOTHING;
