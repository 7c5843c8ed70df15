-- next_stretch: the first stretch of a queue's line, from a given one on, in which something can be claimed.
--
-- Takes    ?1 queue · ?2 stretch
-- Returns  no row, or: stretch
-- Locks    nothing
-- Plan     SEARCH live USING COVERING INDEX live_claimable
-- Twin     none: PostgreSQL has no stretches; its line is ordered by place within a slot.

SELECT stretch
  FROM live INDEXED BY live_claimable
 WHERE ready AND holder IS NULL AND NOT alone AND queue_id = ?1 AND stretch >= ?2
 ORDER BY stretch
 LIMIT 1;
