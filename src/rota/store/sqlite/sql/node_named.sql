-- node_named: whether an open node has this name.
--
-- Takes    ?1 name
-- Returns  no row, or: id
-- Locks    the write lock of its transaction
-- Plan     SEARCH nodes USING COVERING INDEX nodes_open
-- Twin     none: a part of PostgreSQL's register_node.sql.

SELECT id FROM nodes WHERE name = ?1 AND closed_at IS NULL;
