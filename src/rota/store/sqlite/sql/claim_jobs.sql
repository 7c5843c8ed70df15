-- claim_jobs: write the holder and the next fence into these jobs.
--
-- Takes    ?1 their seq, as carray, from still_claimable · ?2 worker · ?3 now
-- Returns  nothing; read_jobs gives what the worker needs
-- Locks    the write lock of its transaction, in which claim_facts has said that the worker is open
-- Plan     SEARCH live USING INTEGER PRIMARY KEY
-- Twin     store/postgres/sql/claim_jobs.sql; tests/contract/test_claims.py runs both.

UPDATE live SET holder = ?2, fence = fence + 1, claimed_at = ?3 WHERE seq IN (SELECT value FROM carray(?1));
