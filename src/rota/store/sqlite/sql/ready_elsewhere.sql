-- ready_elsewhere: slots of one stretch, outside of these, that have claimable jobs worth stealing.
--
-- Takes    ?1 queue · ?2 stretch · ?3 JSON list of the slots that are the worker's own · ?4 keyed_before · ?5 how many at most ·
--          ?6 how far to look into each slot
-- Returns  rows: slot
-- Locks    nothing
-- Plan     SEARCH live USING COVERING INDEX live_claimable: from slot to slot, and a few entries into each
-- Twin     store/postgres/sql/ready_elsewhere.sql; tests/contract/test_reading.py runs both.

WITH RECURSIVE slots (slot) AS (
    SELECT (SELECT slot FROM live INDEXED BY live_claimable
             WHERE ready AND holder IS NULL AND NOT alone AND queue_id = ?1 AND stretch = ?2
             ORDER BY slot LIMIT 1)
     UNION ALL
    SELECT (SELECT l.slot FROM live l INDEXED BY live_claimable
             WHERE l.ready AND l.holder IS NULL AND NOT l.alone AND l.queue_id = ?1 AND l.stretch = ?2 AND l.slot > slots.slot
             ORDER BY l.slot LIMIT 1)
      FROM slots
     WHERE slots.slot IS NOT NULL
)
SELECT slots.slot
  FROM slots
 WHERE slots.slot IS NOT NULL
   AND slots.slot NOT IN (SELECT value FROM json_each(?3))
   AND EXISTS (SELECT 1
                 FROM (SELECT l.key, l.ready_at
                         FROM live l INDEXED BY live_claimable
                        WHERE l.ready AND l.holder IS NULL AND NOT l.alone
                          AND l.queue_id = ?1 AND l.stretch = ?2 AND l.slot = slots.slot
                        ORDER BY l.seq
                        LIMIT ?6)
                WHERE key IS NULL OR ready_at < ?4)
 LIMIT ?5;
