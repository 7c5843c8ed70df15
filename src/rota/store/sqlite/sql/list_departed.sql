-- list_departed: the workers that were closed last, newest first.
--
-- Takes    the most rows
-- Returns  rows in the order of rota.store.port.DepartedRow; queues as JSON
-- Locks    nothing
-- Plan     SCAN w; USE TEMP B-TREE FOR ORDER BY: a few rows a node and day, and only people ask
-- Twin     store/postgres/sql/list_departed.sql; tests/contract/test_members.py runs both.

SELECT w.id, w.name, w.queues, w.weight, w.is_alone, w.registered_at, w.closed_at
  FROM workers w
 WHERE w.closed_at IS NOT NULL
 ORDER BY w.closed_at DESC, w.id DESC
 LIMIT ?;
