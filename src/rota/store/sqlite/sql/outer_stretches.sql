-- outer_stretches: the first and the last stretch of a queue's line in which something can be claimed.
--
-- Takes    ?1 queue
-- Returns  one row: first, last; null when there is none
-- Locks    nothing
-- Plan     SEARCH live USING COVERING INDEX live_claimable, twice
-- Twin     none: a part of PostgreSQL's claim_jobs.sql.

SELECT (SELECT stretch
          FROM live INDEXED BY live_claimable
         WHERE ready AND holder IS NULL AND NOT alone AND queue_id = ?1
         ORDER BY stretch
         LIMIT 1),
       (SELECT stretch
          FROM live INDEXED BY live_claimable
         WHERE ready AND holder IS NULL AND NOT alone AND queue_id = ?1
         ORDER BY stretch DESC
         LIMIT 1);
