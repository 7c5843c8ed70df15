-- insert_node: make a node known.
--
-- Takes    ?1 name · ?2 proof · ?3 host · ?4 lease_ms · ?5 now
-- Returns  id
-- Locks    the write lock of its transaction
-- Plan     no scan
-- Twin     store/postgres/sql/register_node.sql; tests/contract/test_close.py runs both.

INSERT INTO nodes (name, proof, host, lease_ms, registered_at) VALUES (?1, ?2, ?3, ?4, ?5) RETURNING id;
