-- standing: which of these jobs are live, with the fence that stands and the last one under which something was recorded.
--
-- Takes    ?1 their seq, as carray
-- Returns  rows: seq, token, fence, yielded, queue_id, slot, priority, alone
-- Locks    the write lock of its transaction
-- Plan     SEARCH live USING INTEGER PRIMARY KEY
-- Twin     none: PostgreSQL's functions return what they took.

SELECT seq, token, fence, yielded, queue_id, slot, priority, alone FROM live WHERE seq IN (SELECT value FROM carray(?1));
