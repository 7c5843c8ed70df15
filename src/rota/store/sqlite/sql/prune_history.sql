-- prune_history: remove the stories of jobs that are gone.
--
-- Takes    ?1 tokens, as carray
-- Returns  nothing
-- Locks    the write lock of its transaction
-- Plan     SEARCH history USING PRIMARY KEY
-- Twin     none: a part of PostgreSQL's prune_finished.sql.

DELETE FROM history WHERE token IN (SELECT value FROM carray(?1));
