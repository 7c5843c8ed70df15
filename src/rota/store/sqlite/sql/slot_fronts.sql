-- slot_fronts: for each slot, in the order given, its first job in one stretch that this worker may claim.
--
-- Takes    ?1 queue · ?2 stretch · ?3 the stretch's first seq · ?4 slots as carray of slot * 16384 + how far into the stretch to
--          begin · ?5 JSON list of the tasks that are known, null for all · ?6 keyed_before, null for any
-- Returns  one row: JSON list of seq or null, one for each slot
-- Locks    nothing
-- Plan     SEARCH l USING INDEX live_claimable, once a slot; it stops at the first entry unless tasks are filtered
-- Twin     none: PostgreSQL looks into each slot's line in claim_jobs.sql.

SELECT json_group_array((SELECT l.seq
                           FROM live l INDEXED BY live_claimable
                          WHERE l.ready AND l.holder IS NULL AND NOT l.alone
                            AND l.queue_id = ?1 AND l.stretch = ?2 AND l.slot = n.value >> 14
                            AND l.seq >= ?3 + (n.value & 16383)
                            AND (?5 IS NULL OR l.task_id IN (SELECT value FROM json_each(?5)))
                            AND (?6 IS NULL OR l.key IS NULL OR l.ready_at < ?6)
                          ORDER BY l.seq
                          LIMIT 1))
  FROM carray(?4) n;
