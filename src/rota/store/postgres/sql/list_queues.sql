-- list_queues: every queue with its counts at this moment, for people.
--
-- Takes    p_now bigint
-- Returns  id, name, is_paused, waiting, scheduled, running, by name
-- Locks    nothing
-- Plan     Seq Scan on live: it counts every job
-- Twin     store/sqlite/sql/list_queues.sql; tests/contract/test_reading.py runs both.

CREATE FUNCTION list_queues(p_now bigint) RETURNS TABLE (
    id smallint, name text, is_paused boolean, waiting bigint, scheduled bigint, running bigint
) LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
DECLARE
    now_us bigint := coalesce(p_now, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint);
BEGIN
    RETURN QUERY
    SELECT q.id, q.name, q.is_paused, coalesce(c.live - c.scheduled - c.running, 0), coalesce(c.scheduled, 0), coalesce(c.running, 0)
      FROM queues q
      LEFT JOIN (SELECT l.queue_id, count(*) AS live, count(l.holder) AS running,
                        count(*) FILTER (WHERE l.holder IS NULL AND l.due_at > now_us) AS scheduled
                   FROM live l
                  GROUP BY l.queue_id) c ON c.queue_id = q.id
     ORDER BY q.name;
END
$$;
