-- next_in_line: for each of these keys that has no head, its due job with the lowest seq.
--
-- Takes    ?1 queue · ?2 JSON list of keys
-- Returns  one row: JSON lists of seq, slot, priority
-- Locks    the write lock of its transaction
-- Plan     SEARCH h USING COVERING INDEX live_head; SEARCH n USING COVERING INDEX live_line: once a key
-- Twin     none: a part of PostgreSQL's stage_keys.sql.

SELECT json_group_array(l.seq), json_group_array(l.slot), json_group_array(l.priority)
  FROM (SELECT DISTINCT value AS key FROM json_each(?2)) k
 CROSS JOIN live l
    ON l.seq = (SELECT n.seq
                  FROM live n
                 WHERE n.queue_id = ?1 AND n.key = k.key AND NOT n.head AND n.key IS NOT NULL AND n.due_at IS NULL
                 ORDER BY n.seq
                 LIMIT 1)
 WHERE (SELECT 1 FROM live h WHERE h.queue_id = ?1 AND h.key = k.key AND h.head) IS NULL;
