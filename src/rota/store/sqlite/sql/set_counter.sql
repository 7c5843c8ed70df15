-- set_counter: move one of the counters.
--
-- Takes    ?1 its id · ?2 where to
-- Returns  nothing
-- Locks    the write lock of its transaction
-- Plan     SEARCH counters USING INTEGER PRIMARY KEY
-- Twin     none: PostgreSQL numbers rows by an identity.

UPDATE counters SET n = ?2 WHERE id = ?1;
