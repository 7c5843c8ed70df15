-- list_departed: the workers that were closed last, newest first.
--
-- Takes    p_limit integer
-- Returns  rows in the order of rota.store.port.DepartedRow
-- Locks    nothing
-- Plan     a sort of the workers' rows; for people
-- Twin     store/sqlite/sql/list_departed.sql; tests/contract/test_members.py runs both.

CREATE FUNCTION list_departed(p_limit integer) RETURNS TABLE (
    id bigint, name text, queues text[], weight integer, is_alone boolean, registered_at bigint, closed_at bigint
) LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT w.id, w.name, w.queues, w.weight, w.is_alone, w.registered_at, w.closed_at
      FROM workers w
     WHERE w.closed_at IS NOT NULL
     ORDER BY w.closed_at DESC, w.id DESC
     LIMIT p_limit;
END
$$;
