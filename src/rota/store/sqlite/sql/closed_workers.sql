-- closed_workers: the closed workers that have claims left: somebody died between close and release.
--
-- Takes    nothing
-- Returns  rows as open_workers
-- Locks    nothing
-- Plan     SCAN c USING COVERING INDEX claims_worker; SEARCH w, n USING INTEGER PRIMARY KEY
-- Twin     none: PostgreSQL's worker_rows.sql returns them.

SELECT w.id, w.node_id, w.name, w.proof, w.queues, w.tasks, w.weight, w.is_alone, w.is_draining, w.pid, w.registered_at,
       (SELECT sum(length(c.tokens)) / 16 FROM claims c WHERE c.worker = w.id),
       (SELECT n.lease_ms FROM nodes n WHERE n.id = w.node_id)
  FROM workers w
 WHERE w.id IN (SELECT worker FROM claims) AND w.closed_at IS NOT NULL
 ORDER BY w.id;
