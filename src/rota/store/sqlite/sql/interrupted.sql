-- interrupted: jobs of a queue that were running when their worker died and wait to be run again.
--
-- Takes    ?1 queue · ?2 JSON list of the tasks that are known, null for all · ?3 keyed_before, null for any · ?4 how many at most
-- Returns  one row: JSON list of seq, by place
-- Locks    nothing
-- Plan     SEARCH l USING INDEX live_interrupted
-- Twin     none: a part of PostgreSQL's claim_jobs.sql.

SELECT json_group_array(seq)
  FROM (SELECT l.seq
          FROM live l INDEXED BY live_interrupted
         WHERE l.crashes > 0 AND l.ready AND l.holder IS NULL AND NOT l.alone AND l.queue_id = ?1
           AND (?2 IS NULL OR l.task_id IN (SELECT value FROM json_each(?2)))
           AND (?3 IS NULL OR l.key IS NULL OR l.ready_at < ?3)
         ORDER BY l.stretch, l.seq
         LIMIT ?4);
