-- trim_history: drop the oldest entries of a job's story beyond the newest so many.
--
-- Takes    ?1 token · ?2 how many stay
-- Returns  nothing
-- Locks    the write lock of its transaction
-- Plan     SEARCH history USING PRIMARY KEY
-- Twin     none: a part of PostgreSQL's keep_jobs.sql.

DELETE FROM history
 WHERE token = ?1
   AND fence <= (SELECT fence FROM history WHERE token = ?1 ORDER BY fence DESC LIMIT 1 OFFSET ?2);
