-- list_alone: up to 100 suspects that wait to be run alone, oldest first; not those of a paused queue.
--
-- Takes    p_queues text[] · p_tasks text[]: only of these; NULL for all
-- Returns  token, queue text, task text
-- Locks    nothing
-- Plan     Index Scan using live_alone
-- Twin     store/sqlite/sql/list_alone.sql; tests/contract/test_alone.py runs both.

CREATE FUNCTION list_alone(p_queues text[], p_tasks text[]) RETURNS TABLE (token uuid, queue text, task text)
LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT l.token, (SELECT q.name FROM queues q WHERE q.id = l.queue_id), (SELECT t.name FROM tasks t WHERE t.id = l.task_id)
      FROM live l
     WHERE l.alone AND l.ready AND l.holder IS NULL
       AND NOT (SELECT q.is_paused FROM queues q WHERE q.id = l.queue_id)
       AND (p_queues IS NULL OR (SELECT q.name FROM queues q WHERE q.id = l.queue_id) = ANY (p_queues))
       AND (p_tasks IS NULL OR (SELECT t.name FROM tasks t WHERE t.id = l.task_id) = ANY (p_tasks))
     ORDER BY l.seq
     LIMIT 100;
END
$$;
