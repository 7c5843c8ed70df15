-- renew_node: raise a node's lease counter.
--
-- Takes    ?1 node · ?2 counter
-- Returns  no row when the node is closed, else: id
-- Locks    the write lock of its transaction
-- Plan     SEARCH nodes USING INTEGER PRIMARY KEY
-- Twin     store/postgres/sql/renew_node.sql; tests/contract/test_close.py runs both.

UPDATE nodes SET counter = max(counter, ?2) WHERE id = ?1 AND closed_at IS NULL RETURNING id;
