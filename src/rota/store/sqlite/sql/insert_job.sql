-- insert_job: put one job into live.
--
-- Takes    seq, token, queue_id, task_id, hash16, priority, key, due_at (null: at once), expires_at, submitted_at, codec, meta,
--          payload, head, ready, ready_at (null unless it is a head). Who may be head says keys_with_head, in the same
--          transaction. The row of values is repeated (bulk.py).
-- Returns  nothing; a token that is in live already is left alone, which shows in the number of changes
-- Locks    the write lock of its transaction
-- Plan     none: looks at nothing
-- Twin     store/postgres/sql/submit_jobs.sql; tests/contract/test_submit.py runs both.

INSERT INTO live (seq, token, queue_id, task_id, hash16, priority, key, due_at, expires_at, submitted_at, codec, meta, payload,
                  head, ready, ready_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (token) DO NOTHING;
