-- node_by_proof: the open node that has registered with this proof already.
--
-- Takes    ?1 proof, not empty
-- Returns  no row, or: id, name
-- Locks    the write lock of its transaction
-- Plan     SCAN nodes USING INDEX nodes_open: as many as are open
-- Twin     none: a part of PostgreSQL's register_node.sql.

SELECT id, name FROM nodes INDEXED BY nodes_open WHERE closed_at IS NULL AND proof = ?1;
