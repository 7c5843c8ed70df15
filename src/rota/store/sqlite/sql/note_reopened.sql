-- note_reopened: tell in a job's story that it was put back, with what was known of its end.
--
-- Takes    ?1 token · ?2 now
-- Returns  nothing
-- Locks    the write lock of its transaction
-- Plan     SEARCH finished USING INDEX finished_token
-- Twin     none: a part of PostgreSQL's reopen_job.sql.

INSERT INTO history (token, fence, kind, at, state, worker, started_at, error_type, error_message, error_traceback)
SELECT token, fence, 'reopened', ?2, state, worker, started_at, error_type, error_message, error_traceback
  FROM finished
 WHERE token = ?1
    ON CONFLICT (token, fence, kind) DO UPDATE SET at = excluded.at, state = excluded.state;
