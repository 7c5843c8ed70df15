-- membership: everyone who is open, at one moment.
--
-- Takes    p_epoch bigint: of this epoch the workers on the ring are known (null: of none)
-- Returns  one row: epoch, orchestrator (null when vacant), nodes and workers as JSON lists of rota.store.port's rows, by id;
--          are they known, workers has only those that run alone, who come and go within an epoch
-- Locks    nothing
-- Plan     Index Scan using nodes_pkey and workers_pkey; a few rows
-- Twin     store/sqlite/sql/membership.sql; tests/contract/test_members.py runs both.

CREATE FUNCTION membership(p_epoch bigint DEFAULT NULL, OUT epoch bigint, OUT orchestrator bigint, OUT nodes text, OUT workers text)
LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
DECLARE
    -- Once for all: asked node by node, each would read all workers.
    draining bigint[] := ARRAY(SELECT w.node_id FROM workers w WHERE w.closed_at IS NULL AND NOT w.is_alone
                                GROUP BY w.node_id HAVING bool_and(w.is_draining));
BEGIN
    SELECT h.epoch, (SELECT n.id FROM nodes n WHERE n.id = h.orchestrator AND n.closed_at IS NULL),
           (SELECT coalesce(json_agg(json_build_object(
                       'id', n.id, 'name', n.name, 'proof', n.proof, 'host', n.host, 'lease_ms', n.lease_ms,
                       'counter', l.counter, 'registered_at', n.registered_at,
                       'is_draining', n.id = ANY (draining)) ORDER BY n.id), '[]')
              FROM nodes n JOIN leases l ON l.node_id = n.id
             WHERE n.closed_at IS NULL),
           worker_rows(true, CASE WHEN h.epoch = p_epoch THEN true END)
      INTO epoch, orchestrator, nodes, workers
      FROM house h;
END
$$;
