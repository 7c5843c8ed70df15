-- still_held: which of these jobs are held by somebody who is closed or unknown even now.
--
-- Takes    ?1 their seq, as carray
-- Returns  rows: seq, queue_id, slot, priority
-- Locks    the write lock of its transaction
-- Plan     SEARCH l USING INTEGER PRIMARY KEY
-- Twin     none: a part of PostgreSQL's sweep.sql.

SELECT l.seq, l.queue_id, l.slot, l.priority
  FROM live l
 WHERE l.seq IN (SELECT value FROM carray(?1)) AND l.holder IS NOT NULL
   AND NOT EXISTS (SELECT 1 FROM workers w WHERE w.id = l.holder AND w.closed_at IS NULL);
