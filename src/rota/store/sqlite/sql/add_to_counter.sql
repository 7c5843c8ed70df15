-- add_to_counter: raise (or lower) one of the counters.
--
-- Takes    ?1 its id (see migrations/001_first.sql) · ?2 by how much
-- Returns  nothing
-- Locks    the write lock of its transaction
-- Plan     SEARCH counters USING INTEGER PRIMARY KEY
-- Twin     none: PostgreSQL counts by asking; there, one row that every submit writes would be a queue of its own.

UPDATE counters SET n = n + ?2 WHERE id = ?1;
