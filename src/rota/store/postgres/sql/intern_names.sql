-- intern_names: the numbers of these queues and tasks; new names get new ones.
--
-- Takes    p_queues text[] · p_tasks text[]
-- Returns  is_queue boolean, name text, id integer, in no order
-- Locks    its own new rows; waits for somebody who adds the same name at this moment.
-- Plan     Index Scan using queues_name_key and tasks_name_key, once a name
-- Twin     store/sqlite/sql/intern_queue.sql and store/sqlite/sql/intern_task.sql; tests/contract/test_submit.py runs both.

CREATE FUNCTION intern_names(p_queues text[], p_tasks text[]) RETURNS TABLE (is_queue boolean, name text, id integer)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    -- Only names that are missing: a conflict would use up a number of the identity.
    INSERT INTO queues (name)
    SELECT DISTINCT u.n FROM unnest(p_queues) u(n) WHERE NOT EXISTS (SELECT FROM queues q WHERE q.name = u.n) ORDER BY u.n
        ON CONFLICT DO NOTHING;
    INSERT INTO tasks (name)
    SELECT DISTINCT u.n FROM unnest(p_tasks) u(n) WHERE NOT EXISTS (SELECT FROM tasks t WHERE t.name = u.n) ORDER BY u.n
        ON CONFLICT DO NOTHING;
    RETURN QUERY
    SELECT true, q.name, q.id::integer FROM queues q WHERE q.name = ANY (p_queues)
     UNION ALL
    SELECT false, t.name, t.id FROM tasks t WHERE t.name = ANY (p_tasks);
END
$$;
