-- node_is_open: whether a node has not been closed.
--
-- Takes    ?1 node
-- Returns  no row, or: id
-- Locks    nothing; before a registration the write lock of its transaction
-- Plan     SEARCH nodes USING INTEGER PRIMARY KEY
-- Twin     none: a part of PostgreSQL's register_worker.sql.

SELECT id FROM nodes WHERE id = ?1 AND closed_at IS NULL;
