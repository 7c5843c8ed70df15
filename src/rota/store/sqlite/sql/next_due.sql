-- next_due: when the next job of these slots falls due, or has fallen due without having been staged.
--
-- Takes    ?1 queue · ?2 slots, as carray
-- Returns  one row: due_at or null
-- Locks    nothing
-- Plan     SEARCH l USING COVERING INDEX live_due, once a slot; not at all when the queue has nothing for later
-- Twin     none: a part of PostgreSQL's stage_slots.sql.

SELECT min((SELECT l.due_at
              FROM live l
             WHERE l.queue_id = ?1 AND l.slot = s.value AND l.due_at IS NOT NULL
             ORDER BY l.due_at
             LIMIT 1))
  FROM carray(?2) s
 WHERE (SELECT 1 FROM live a WHERE a.queue_id = ?1 AND a.due_at IS NOT NULL LIMIT 1);
