-- prunable: the first finished jobs that are past their time, in the order in which they were settled.
--
-- Takes    ?1 settled before · ?2 token before (a younger one may be submitted again) · ?3 how many at most · ?4 how many to
--          look at · ?5 this instant: what was settled later, by a clock that was ahead, is passed over, however much it is
-- Returns  rows: no, token, state
-- Locks    nothing; before prune_finished the write lock of its transaction
-- Plan     SCAN finished, from the front
-- Twin     none: a part of PostgreSQL's prune_finished.sql.

SELECT no, token, state
  FROM (SELECT no, token, state, settled_at FROM finished WHERE settled_at <= ?5 ORDER BY no LIMIT ?4)
 WHERE settled_at < ?1 AND token < ?2
 LIMIT ?3;
