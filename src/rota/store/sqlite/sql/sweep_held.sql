-- sweep_held: jobs whose holder is closed or unknown. What a claims row names is for its release, the rest is damage.
--
-- Takes    nothing
-- Returns  rows: seq, token, holder
-- Locks    nothing: what it finds is looked at again by still_held
-- Plan     SCAN l: the only statement that reads all of live; an index on the holder would cost every claim and settle
-- Twin     none: a part of PostgreSQL's sweep.sql.

SELECT l.seq, l.token, l.holder
  FROM live l
 WHERE l.holder IS NOT NULL
   AND NOT EXISTS (SELECT 1 FROM workers w WHERE w.id = l.holder AND w.closed_at IS NULL);
