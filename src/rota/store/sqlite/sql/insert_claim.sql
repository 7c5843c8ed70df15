-- insert_claim: note which jobs a worker took in one claim.
--
-- Takes    ?1 worker · ?2 tokens, joined into one blob
-- Returns  no
-- Locks    the write lock of its transaction
-- Plan     no scan
-- Twin     none: a part of PostgreSQL's claim_jobs.sql.

INSERT INTO claims (worker, tokens) VALUES (?1, ?2) RETURNING no;
