-- worker_rows: the open workers, or the closed ones that still have claims rows.
--
-- Takes    p_is_open boolean
-- Returns  text: a JSON list of rota.store.port.WorkerRow, by id
-- Locks    nothing
-- Plan     Index Scan using workers_pkey, nodes_pkey; a few rows
-- Twin     store/sqlite/sql/open_workers.sql; tests/contract/test_members.py runs both.

CREATE FUNCTION worker_rows(p_is_open boolean) RETURNS text LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (
        SELECT coalesce(json_agg(json_build_object(
                   'id', w.id, 'node_id', w.node_id, 'name', w.name, 'proof', w.proof, 'queues', w.queues, 'tasks', w.tasks,
                   'weight', w.weight, 'is_alone', w.is_alone, 'is_draining', w.is_draining, 'pid', w.pid,
                   'registered_at', w.registered_at, 'held', coalesce(c.held, 0),
                   'lease_ms', coalesce((SELECT n.lease_ms FROM nodes n WHERE n.id = w.node_id), 0)) ORDER BY w.id), '[]')
          FROM workers w
          LEFT JOIN LATERAL (
               SELECT sum(cardinality(c.tokens))::integer AS held FROM claims c WHERE c.worker = w.id) c ON true
         WHERE CASE WHEN p_is_open THEN w.closed_at IS NULL ELSE w.closed_at IS NOT NULL AND c.held IS NOT NULL END);
END
$$;
