-- insert_counter: begin to count the unfinished jobs of a new queue.
--
-- Takes    ?1 queue
-- Returns  nothing
-- Locks    the write lock of its transaction
-- Plan     no scan
-- Twin     none: PostgreSQL counts by asking.

INSERT INTO counters (id, n) VALUES (?1, 0);
