-- sweep_keys: keys that have a due job and no head. There are none in a healthy store.
--
-- Takes    ?1 how many at most
-- Returns  rows: queue_id, key
-- Locks    nothing: what it finds is looked at again by next_in_line
-- Plan     SCAN n USING COVERING INDEX live_line; SEARCH h USING COVERING INDEX live_head
-- Twin     store/postgres/sql/sweep.sql; tests/contract/test_house.py runs both.

SELECT DISTINCT n.queue_id, n.key
  FROM live n INDEXED BY live_line
 WHERE NOT n.head AND n.key IS NOT NULL AND n.due_at IS NULL
   AND (SELECT 1 FROM live h WHERE h.queue_id = n.queue_id AND h.key = n.key AND h.head) IS NULL
 LIMIT ?1;
