-- release_job: take jobs from a dead worker and put them back to their places.
--
-- Takes    ?1 their seq, as carray · ?2 crashes to add: 1 for those that were running, else 0
-- Returns  nothing
-- Locks    the write lock of its transaction
-- Plan     SEARCH live USING INTEGER PRIMARY KEY
-- Twin     store/postgres/sql/release_jobs.sql; tests/contract/test_close.py runs both.

UPDATE live
   SET holder = NULL, claimed_at = NULL, crashes = crashes + ?2, alone = alone OR (?2 AND crashes + ?2 >= 2),
       expires_at = CASE WHEN ?2 THEN NULL ELSE expires_at END
 WHERE seq IN (SELECT value FROM carray(?1));
