-- worker_claims: what a worker took and has not said to be done with, oldest claim first.
--
-- Takes    ?1 worker · ?2 how many claims at most
-- Returns  rows: no, tokens joined into one blob
-- Locks    nothing
-- Plan     SEARCH claims USING INDEX claims_worker
-- Twin     none: a part of PostgreSQL's held_jobs.sql and release_jobs.sql.

SELECT no, tokens FROM claims WHERE worker = ?1 ORDER BY no LIMIT ?2;
