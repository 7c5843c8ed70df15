-- note_reopened: tell in a job's story how its last attempt failed, if it did, and that the job was put back.
--
-- Takes    ?1 token · ?2 now
-- Returns  nothing
-- Locks    the write lock of its transaction
-- Plan     SEARCH finished USING INDEX finished_token, twice
-- Twin     none: a part of PostgreSQL's reopen_job.sql.

INSERT INTO history (token, fence, kind, at, state, worker, started_at, error_type, error_message, error_traceback)
SELECT token, fence, 'failed', settled_at, NULL, worker, started_at, error_type, error_message, error_traceback
  FROM finished
 WHERE token = ?1 AND state = 1
 UNION ALL
SELECT token, fence, 'reopened', ?2, state, NULL, NULL, NULL, NULL, NULL
  FROM finished
 WHERE token = ?1
    ON CONFLICT (token, fence, kind) DO UPDATE SET at = excluded.at, state = excluded.state WHERE kind = 'reopened';
