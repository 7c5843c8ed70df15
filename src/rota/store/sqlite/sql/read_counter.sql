-- read_counter: how far one of the counters has come.
--
-- Takes    ?1 its id: 0 for the last seq given, -1 - state for finished jobs of a state
-- Returns  one row: n
-- Locks    the write lock of its transaction
-- Plan     SEARCH counters USING INTEGER PRIMARY KEY
-- Twin     none: PostgreSQL numbers rows by an identity, and counts by asking.

SELECT n FROM counters WHERE id = ?1;
