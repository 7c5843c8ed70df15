-- register_worker: make a worker known under an open node, and raise the epoch unless it runs alone.
--
-- Takes    p_now bigint · p_node bigint · p_name, p_proof text · p_queues, p_tasks text[] · p_weight integer · p_is_alone
--          boolean · p_pid integer
-- Returns  one row: id, name (with a suffix if it was taken), epoch. Raises RO310 when the node has been closed. A worker of
--          this proof that is open already is returned as it is: the reply to its registration was lost.
-- Locks    the node's row for key share, so that whoever closes it waits; then the house's row.
-- Plan     Index Scan using nodes_pkey
-- Twin     store/sqlite/sql/insert_worker.sql; tests/contract/test_members.py runs both.

CREATE FUNCTION register_worker(
    p_now bigint, p_node bigint, p_name text, p_proof text, p_queues text[], p_tasks text[], p_weight integer,
    p_is_alone boolean, p_pid integer,
    OUT id bigint, OUT name text, OUT epoch bigint
) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    now_us bigint := coalesce(p_now, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint);
    suffix integer := 1;
BEGIN
    PERFORM FROM nodes n WHERE n.id = p_node AND n.closed_at IS NULL FOR KEY SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'node % is closed', p_node USING ERRCODE = 'RO310';
    END IF;
    LOOP
        -- Each time round: the insert may have waited for that very registration, whose commit nobody heard of.
        SELECT w.id, w.name, h.epoch INTO id, name, epoch FROM workers w, house h
         WHERE p_proof <> '' AND w.node_id = p_node AND w.proof = p_proof AND w.closed_at IS NULL;
        IF FOUND THEN
            RETURN;
        END IF;
        name := p_name || CASE WHEN suffix > 1 THEN '-' || suffix ELSE '' END;
        INSERT INTO workers (node_id, name, proof, queues, tasks, weight, is_alone, pid, registered_at)
        VALUES (p_node, register_worker.name, p_proof, p_queues, p_tasks, p_weight, p_is_alone, p_pid, now_us)
            ON CONFLICT (name) WHERE closed_at IS NULL DO NOTHING
         RETURNING workers.id INTO id;
        EXIT WHEN FOUND;
        suffix := suffix + 1;
    END LOOP;
    IF NOT p_is_alone THEN
        UPDATE house SET epoch = house.epoch + 1;
        PERFORM pg_notify(current_schema(), '{"e":true}');
    END IF;
    SELECT h.epoch INTO epoch FROM house h;
END
$$;
