-- worker_rows: the open workers, or the closed ones that still have claims rows.
--
-- Takes    p_is_open boolean · p_is_alone boolean: of the open ones only those (null: all)
-- Returns  text: a JSON list of rota.store.port.WorkerRow, by id
-- Locks    nothing
-- Plan     Index Scan using workers_name, or Seq Scan on claims, which has a row a claim; then workers_pkey and nodes_pkey
-- Twin     store/sqlite/sql/open_workers.sql; tests/contract/test_members.py runs both.

CREATE FUNCTION worker_rows(p_is_open boolean, p_is_alone boolean DEFAULT NULL) RETURNS text LANGUAGE plpgsql STABLE AS $$
DECLARE
    -- First which: the rows of closed workers are kept for days, and one that dies every second leaves half a million.
    ids bigint[];
BEGIN
    IF p_is_open THEN
        ids := ARRAY(SELECT w.id FROM workers w WHERE w.closed_at IS NULL AND (p_is_alone IS NULL OR w.is_alone = p_is_alone));
    ELSE
        ids := ARRAY(SELECT DISTINCT c.worker FROM claims c);
    END IF;
    RETURN (
        SELECT coalesce(json_agg(json_build_object(
                   'id', w.id, 'node_id', w.node_id, 'name', w.name, 'proof', w.proof, 'queues', w.queues, 'tasks', w.tasks,
                   'weight', w.weight, 'is_alone', w.is_alone, 'is_draining', w.is_draining, 'pid', w.pid,
                   'registered_at', w.registered_at,
                   'held', coalesce((SELECT sum(cardinality(c.tokens))::integer FROM claims c WHERE c.worker = w.id), 0),
                   'lease_ms', coalesce((SELECT n.lease_ms FROM nodes n WHERE n.id = w.node_id), 0)) ORDER BY w.id), '[]')
          FROM workers w
         WHERE w.id = ANY (ids) AND (w.closed_at IS NULL) = p_is_open);
END
$$;
