-- count_up: count the jobs after the last count up to a number to their queues' unfinished ones.
--
-- Takes    ?1 the number up to which they are counted · ?2 the number up to which they are now
-- Returns  nothing
-- Locks    the write lock of its transaction
-- Plan     SEARCH live USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)
-- Twin     none: PostgreSQL counts by asking; there, one row that every submit writes would be a queue of its own.

UPDATE counters
   SET n = n + t.more
  FROM (SELECT queue_id AS id, count(*) AS more FROM live WHERE seq > ?1 AND seq <= ?2 GROUP BY queue_id
         UNION ALL
        SELECT 0, ?2 - ?1) AS t
 WHERE counters.id = t.id;
