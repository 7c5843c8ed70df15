-- leaving_keys: how many of these jobs are of each queue, and of which keys they are the heads.
--
-- Takes    ?1 their seq, as carray
-- Returns  rows: queue_id, number of jobs, JSON list of keys
-- Locks    the write lock of its transaction
-- Plan     SEARCH live USING INTEGER PRIMARY KEY
-- Twin     none: PostgreSQL's settle_jobs.sql takes them from its DELETE.

SELECT queue_id, count(*), json_group_array(key) FILTER (WHERE head)
  FROM live
 WHERE seq IN (SELECT value FROM carray(?1))
 GROUP BY queue_id;
