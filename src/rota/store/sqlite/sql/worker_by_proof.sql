-- worker_by_proof: the open worker of a node that has registered with this proof already.
--
-- Takes    ?1 node · ?2 proof, not empty
-- Returns  no row, or: id, name
-- Locks    the write lock of its transaction
-- Plan     SCAN workers USING INDEX workers_open: as many as are open
-- Twin     none: a part of PostgreSQL's register_worker.sql.

SELECT id, name FROM workers INDEXED BY workers_open WHERE closed_at IS NULL AND node_id = ?1 AND proof = ?2;
