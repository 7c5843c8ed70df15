-- open_workers: the workers that have not been closed, with how much each took and has not said to be done with.
--
-- Takes    nothing
-- Returns  rows by id: id, node_id, name, proof, queues, tasks, weight, is_alone, is_draining, pid, registered_at, held,
--          lease_ms of its node
-- Locks    nothing
-- Plan     SCAN w USING INDEX workers_open; SEARCH c USING INDEX claims_worker; SEARCH n USING INTEGER PRIMARY KEY
-- Twin     store/postgres/sql/worker_rows.sql; tests/contract/test_close.py runs both.

SELECT w.id, w.node_id, w.name, w.proof, w.queues, w.tasks, w.weight, w.is_alone, w.is_draining, w.pid, w.registered_at,
       (SELECT coalesce(sum(length(c.tokens)), 0) / 16 FROM claims c WHERE c.worker = w.id),
       (SELECT n.lease_ms FROM nodes n WHERE n.id = w.node_id)
  FROM workers w INDEXED BY workers_open
 WHERE w.closed_at IS NULL
 ORDER BY w.id;
