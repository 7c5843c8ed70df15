-- note_released: tell in the stories of jobs that they were taken from a dead worker.
--
-- Takes    ?1 their seq, as carray · ?2 crashed or released · ?3 now · ?4 worker · ?5 error_type · ?6 error_message ·
--          ?7 error_traceback
-- Returns  nothing
-- Locks    the write lock of its transaction
-- Plan     SEARCH live USING INTEGER PRIMARY KEY
-- Twin     none: a part of PostgreSQL's release_jobs.sql.

INSERT INTO history (token, fence, kind, at, worker, error_type, error_message, error_traceback)
SELECT token, fence, ?2, ?3, ?4, ?5, ?6, ?7
  FROM live
 WHERE seq IN (SELECT value FROM carray(?1))
    ON CONFLICT (token, fence, kind) DO NOTHING;
