-- renew_node: raise an open node's lease counter.
--
-- Takes    p_node bigint · p_counter bigint
-- Returns  boolean: false when the node has been closed
-- Locks    the lease's row, waiting for whoever closes the node at this moment
-- Plan     Index Scan using leases_pkey
-- Twin     store/sqlite/sql/renew_node.sql; tests/contract/test_members.py runs both.

CREATE FUNCTION renew_node(p_node bigint, p_counter bigint) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    UPDATE leases SET counter = greatest(counter, p_counter) WHERE node_id = p_node AND NOT is_closed;
    RETURN FOUND;
END
$$;
