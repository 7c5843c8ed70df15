-- prune_workers: remove workers that were closed so long ago that no finished job names them.
--
-- Takes    ?1 closed before
-- Returns  nothing
-- Locks    the write lock of its transaction
-- Plan     SCAN workers
-- Twin     none: a part of PostgreSQL's prune_finished.sql.

DELETE FROM workers WHERE closed_at < ?1 AND id NOT IN (SELECT worker FROM claims);
