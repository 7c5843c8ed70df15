-- open_nodes: the nodes that have not been closed.
--
-- Takes    nothing
-- Returns  rows by id: id, name, proof, host, lease_ms, counter, registered_at
-- Locks    nothing
-- Plan     SCAN nodes USING INDEX nodes_open
-- Twin     none: PostgreSQL's membership.sql returns them.

SELECT id, name, proof, host, lease_ms, counter, registered_at
  FROM nodes INDEXED BY nodes_open
 WHERE closed_at IS NULL
 ORDER BY id;
