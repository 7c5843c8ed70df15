-- take_numbers: give numbers to new jobs of a queue, and count them as unfinished.
--
-- Takes    ?1 queue · ?2 how many
-- Returns  two rows in no order: 0 and the last number given; the queue and its unfinished jobs
-- Locks    the write lock of its transaction
-- Plan     SEARCH counters USING INTEGER PRIMARY KEY: one page for both
-- Twin     none: PostgreSQL numbers rows by an identity, and counts by asking.

UPDATE counters SET n = n + ?2 WHERE id IN (0, ?1) RETURNING id, n;
