-- set_paused: pause or resume a queue.
--
-- Takes    ?1 queue · ?2 whether it is paused
-- Returns  no row when nothing changed, else: id
-- Locks    the write lock of its transaction
-- Plan     SEARCH queues USING INTEGER PRIMARY KEY
-- Twin     store/postgres/sql/set_paused.sql; tests/contract/test_house.py runs both.

UPDATE queues SET is_paused = ?2 WHERE id = ?1 AND is_paused <> ?2 RETURNING id;
