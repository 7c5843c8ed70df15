-- insert_headless: put one job into live that cannot be a head: it has no key, is not due, or has one of its key before it.
--
-- Takes    seq, token, queue_id, task_id, hash16, priority, key, due_at (null: at once), expires_at, submitted_at, codec,
--          meta, payload, head (false), ready. The row of values is repeated (bulk.py).
-- Returns  nothing; a token that is in live already is left alone, which shows in the number of changes
-- Locks    the write lock of its transaction
-- Plan     none: looks at nothing. Half of the time that insert_job takes, and the way of most jobs.
-- Twin     store/postgres/sql/submit_jobs.sql; tests/contract/test_submit.py runs both.

INSERT INTO live (seq, token, queue_id, task_id, hash16, priority, key, due_at, expires_at, submitted_at, codec, meta, payload,
                  head, ready)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (token) DO NOTHING;
