-- last_number: the last number that was given to a job, and how far the unfinished jobs have been counted.
--
-- Takes    ?1 a queue, or null
-- Returns  one row: the last number given; the number up to which they are counted; how many of the queue's were unfinished then
-- Locks    the write lock of its transaction
-- Plan     SEARCH c USING INTEGER PRIMARY KEY; SEARCH live: its last row
-- Twin     none: PostgreSQL numbers rows by an identity, and counts by asking.

SELECT max(c.n, coalesce((SELECT max(seq) FROM live), 0)), c.n, (SELECT q.n FROM counters q WHERE q.id = ?1)
  FROM counters c
 WHERE c.id = 0;
