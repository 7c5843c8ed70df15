-- drop_claim: forget a claim of which nothing is held any more.
--
-- Takes    ?1 worker · ?2 no
-- Returns  nothing
-- Locks    the write lock of its transaction
-- Plan     SEARCH claims USING INTEGER PRIMARY KEY
-- Twin     none: a part of PostgreSQL's settle_jobs.sql and release_jobs.sql.

DELETE FROM claims WHERE no = ?2 AND worker = ?1;
