-- insert_worker: make a worker known.
--
-- Takes    ?1 node · ?2 name · ?3 proof · ?4 JSON list of queues · ?5 JSON list of tasks · ?6 weight · ?7 is_alone · ?8 pid · ?9 now
-- Returns  id
-- Locks    the write lock of its transaction, in which node_is_open has been asked
-- Plan     no scan
-- Twin     store/postgres/sql/register_worker.sql; tests/contract/test_close.py runs both.

INSERT INTO workers (node_id, name, proof, queues, tasks, weight, is_alone, pid, registered_at)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
RETURNING id;
