-- stage_due: the jobs of these slots that have fallen due.
--
-- Takes    ?1 queue · ?2 slots, as carray · ?3 now · ?4 how many at most
-- Returns  one row: JSON lists of seq, slot, priority, key, head
-- Locks    the write lock of its transaction
-- Plan     SEARCH l USING INDEX live_due, once a slot
-- Twin     store/postgres/sql/stage_slots.sql; tests/contract/test_due.py runs both.

SELECT json_group_array(seq), json_group_array(slot), json_group_array(priority), json_group_array(key), json_group_array(head)
  FROM (SELECT l.seq, l.slot, l.priority, l.key, l.head
          FROM carray(?2) s
         CROSS JOIN live l INDEXED BY live_due
            ON l.queue_id = ?1 AND l.slot = s.value AND l.due_at <= ?3
         LIMIT ?4);
