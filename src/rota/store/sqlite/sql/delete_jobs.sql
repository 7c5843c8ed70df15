-- delete_jobs: take these jobs out of live.
--
-- Takes    ?1 their seq, as carray
-- Returns  nothing
-- Locks    the write lock of its transaction
-- Plan     SEARCH live USING INTEGER PRIMARY KEY
-- Twin     none: a part of PostgreSQL's settle_jobs.sql.

DELETE FROM live WHERE seq IN (SELECT value FROM carray(?1));
