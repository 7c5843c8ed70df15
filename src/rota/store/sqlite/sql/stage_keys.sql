-- stage_keys: make these jobs the heads of their keys. Besides insert_job the only statement that makes a head.
--
-- Takes    ?1 their seq, as carray · ?2 now
-- Returns  nothing. A key that has a head already makes it fail: live_head is unique.
-- Locks    the write lock of its transaction, taken before next_in_line chose them
-- Plan     SEARCH live USING INTEGER PRIMARY KEY
-- Twin     store/postgres/sql/stage_keys.sql; tests/contract/test_keys.py runs both.

UPDATE live SET head = 1, ready = 1, ready_at = ?2 WHERE seq IN (SELECT value FROM carray(?1));
