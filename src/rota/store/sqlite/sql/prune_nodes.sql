-- prune_nodes: remove nodes that were closed long ago and have no workers left.
--
-- Takes    ?1 closed before
-- Returns  nothing
-- Locks    the write lock of its transaction
-- Plan     SCAN nodes
-- Twin     none: a part of PostgreSQL's prune_finished.sql.

DELETE FROM nodes WHERE closed_at < ?1 AND id NOT IN (SELECT node_id FROM workers);
