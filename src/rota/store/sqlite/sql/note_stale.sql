-- note_stale: tell in a job's story that a settle was refused.
--
-- Takes    ?1 token · ?2 fence · ?3 now · ?4 worker · ?5 started_at · ?6 error_type · ?7 error_message · ?8 error_traceback
-- Returns  nothing
-- Locks    the write lock of its transaction
-- Plan     no scan
-- Twin     none: a part of PostgreSQL's refuse_settles.sql.

INSERT INTO history (token, fence, kind, at, worker, started_at, error_type, error_message, error_traceback)
VALUES (?1, ?2, 'stale', ?3, ?4, ?5, ?6, ?7, ?8)
    ON CONFLICT (token, fence, kind) DO NOTHING;
