-- reopen_job: put a finished job back into live, at the end of the line, as if new except for its fence.
--
-- Takes    ?1 token · ?2 seq · ?3 now
-- Returns  slot, priority, ready
-- Locks    the write lock of its transaction
-- Plan     SEARCH f USING INDEX finished_token; SEARCH h USING COVERING INDEX live_head
-- Twin     store/postgres/sql/reopen_job.sql; tests/contract/test_reopen.py runs both.

INSERT INTO live (seq, token, queue_id, task_id, hash16, priority, key, head, ready, ready_at, fence, yielded, submitted_at,
                  codec, meta, payload)
SELECT ?2, token, queue_id, task_id, hash16, priority, key, is_head, is_head OR key IS NULL, CASE WHEN is_head THEN ?3 END,
       -- What was recorded under this fence stays recorded: a repeat of it must not end the new run.
       fence, fence, submitted_at, codec, meta, payload
  FROM (SELECT f.*,
               key IS NOT NULL AND (SELECT 1 FROM live h WHERE h.queue_id = f.queue_id AND h.key = f.key AND h.head) IS NULL
                   AS is_head
          FROM finished f
         WHERE f.token = ?1)
RETURNING slot, priority, ready;
