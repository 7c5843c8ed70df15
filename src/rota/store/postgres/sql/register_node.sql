-- register_node: make a node known under a name that no open node has.
--
-- Takes    p_now bigint · p_name, p_proof, p_host text · p_lease_ms integer
-- Returns  one row: id, name (with a suffix if it was taken), epoch. A node of this proof that is open already is returned as
--          it is: the reply to its registration was lost.
-- Locks    its own new rows; waits for somebody who registers the same name at this moment.
-- Plan     Insert
-- Twin     store/sqlite/sql/insert_node.sql; tests/contract/test_members.py runs both.

CREATE FUNCTION register_node(
    p_now bigint, p_name text, p_proof text, p_host text, p_lease_ms integer,
    OUT id bigint, OUT name text, OUT epoch bigint
) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    now_us bigint := coalesce(p_now, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint);
    suffix integer := 1;
BEGIN
    LOOP
        -- Each time round: the insert may have waited for that very registration, whose commit nobody heard of.
        SELECT n.id, n.name, h.epoch INTO id, name, epoch FROM nodes n, house h
         WHERE p_proof <> '' AND n.proof = p_proof AND n.closed_at IS NULL;
        IF FOUND THEN
            RETURN;
        END IF;
        name := p_name || CASE WHEN suffix > 1 THEN '-' || suffix ELSE '' END;
        INSERT INTO nodes (name, proof, host, lease_ms, registered_at) VALUES (register_node.name, p_proof, p_host, p_lease_ms, now_us)
            ON CONFLICT (name) WHERE closed_at IS NULL DO NOTHING
         RETURNING nodes.id INTO id;
        EXIT WHEN FOUND;
        suffix := suffix + 1;
    END LOOP;
    INSERT INTO leases (node_id) VALUES (register_node.id);
    SELECT h.epoch INTO epoch FROM house h;
END
$$;
