-- head_of: the job whose turn it is in a key.
--
-- Takes    ?1 queue's name · ?2 key
-- Returns  no row, or: token
-- Locks    nothing
-- Plan     SEARCH q USING COVERING INDEX sqlite_autoindex_queues_1; SEARCH l USING INDEX live_head
-- Twin     store/postgres/sql/head_of_key.sql; tests/contract/test_reading.py runs both.

SELECT l.token FROM queues q JOIN live l ON l.queue_id = q.id AND l.key = ?2 AND l.head WHERE q.name = ?1;
