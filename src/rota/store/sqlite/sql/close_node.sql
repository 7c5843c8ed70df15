-- close_node: declare a node dead, if its counter still is what the observer saw.
--
-- Takes    ?1 node · ?2 counter · ?3 now
-- Returns  no row when this call did not close it, else: id
-- Locks    the write lock of its transaction
-- Plan     SEARCH nodes USING INTEGER PRIMARY KEY
-- Twin     store/postgres/sql/close_node.sql; tests/contract/test_close.py runs both.

UPDATE nodes SET closed_at = ?3 WHERE id = ?1 AND counter = ?2 AND closed_at IS NULL RETURNING id;
