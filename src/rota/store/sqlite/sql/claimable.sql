-- claimable: the lowest numbers in a window of one stretch that this worker may claim, over all of these slots.
--
-- Takes    ?1 to ?6 as slot_fronts · ?7 the seq at which the window ends · ?8 how many at most
-- Returns  one row: JSON list of seq, lowest first
-- Locks    nothing
-- Plan     SEARCH l USING INDEX live_claimable, once a slot, from the slot's front to the window's end
-- Twin     none: PostgreSQL looks into each slot's line in claim_jobs.sql.

SELECT json_group_array(seq)
  FROM (SELECT l.seq
          FROM carray(?4) n
         CROSS JOIN live l INDEXED BY live_claimable
         WHERE l.ready AND l.holder IS NULL AND NOT l.alone
           AND l.queue_id = ?1 AND l.stretch = ?2 AND l.slot = n.value >> 14
           AND l.seq >= ?3 + (n.value & 16383) AND l.seq < ?7
           AND (?5 IS NULL OR l.task_id IN (SELECT value FROM json_each(?5)))
           AND (?6 IS NULL OR l.key IS NULL OR l.ready_at < ?6)
         ORDER BY l.seq
         LIMIT ?8);
