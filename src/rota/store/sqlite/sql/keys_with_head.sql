-- keys_with_head: which of these keys of a queue have a head.
--
-- Takes    ?1 queue · ?2 keys, as carray
-- Returns  one row: a JSON list of keys
-- Locks    the write lock of its transaction: nobody can make another head before what is inserted next
-- Plan     SEARCH h USING INDEX live_head, once a key; the row is not read
-- Twin     none: on PostgreSQL a submit makes no heads; stage does.

SELECT json_group_array(h.key)
  FROM carray(?2) k
 CROSS JOIN live h INDEXED BY live_head
 WHERE h.head AND h.queue_id = ?1 AND h.key = k.value;
