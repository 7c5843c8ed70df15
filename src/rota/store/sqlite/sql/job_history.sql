-- job_history: what happened to a job and is worth telling.
--
-- Takes    ?1 token
-- Returns  rows, oldest first: at, kind, fence, worker's name or null, error_type, error_message, error_traceback, started_at
-- Locks    nothing
-- Plan     SEARCH h USING PRIMARY KEY; SEARCH w USING INTEGER PRIMARY KEY
-- Twin     store/postgres/sql/job_history.sql; tests/contract/test_reading.py runs both.

SELECT h.at, h.kind, h.fence, w.name, h.error_type, h.error_message, h.error_traceback, h.started_at
  FROM history h
  LEFT JOIN workers w ON w.id = h.worker
 WHERE h.token = ?1
 ORDER BY h.at, h.fence;
