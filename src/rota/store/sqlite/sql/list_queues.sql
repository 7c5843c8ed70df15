-- list_queues: every queue with the number of its unfinished jobs.
--
-- Takes    nothing
-- Returns  rows by name: id, name, is_paused, unfinished
-- Locks    nothing
-- Plan     SEARCH live USING INTEGER PRIMARY KEY (rowid>?): the few that have not been counted yet; each queue once
-- Twin     store/postgres/sql/list_queues.sql; tests/contract/test_reading.py runs both.

SELECT q.id, q.name, q.is_paused, c.n + coalesce(t.more, 0)
  FROM queues q
  JOIN counters c ON c.id = q.id
  LEFT JOIN (SELECT queue_id, count(*) AS more
               FROM live
              WHERE seq > (SELECT n FROM counters WHERE id = 0)
              GROUP BY queue_id) t ON t.queue_id = q.id
 ORDER BY q.name;
