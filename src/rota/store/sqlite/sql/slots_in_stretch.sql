-- slots_in_stretch: the slots of the first claimable jobs of one stretch, one for each job.
--
-- Takes    ?1 queue · ?2 stretch · ?3 how many jobs at most
-- Returns  one row: JSON list of slot, in order
-- Locks    nothing
-- Plan     SEARCH live USING COVERING INDEX live_claimable
-- Twin     none: PostgreSQL has no stretches; see its best_of_slots.sql.

SELECT json_group_array(slot)
  FROM (SELECT slot
          FROM live INDEXED BY live_claimable
         WHERE ready AND holder IS NULL AND NOT alone AND queue_id = ?1 AND stretch = ?2
         ORDER BY slot
         LIMIT ?3);
