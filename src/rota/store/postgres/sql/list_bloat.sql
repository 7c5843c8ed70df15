-- list_bloat: how many dead rows lie between the living in the tables through which everything goes.
--
-- Takes    nothing
-- Returns  name text · rows_alive, rows_dead, bytes bigint · is_vacuumed boolean: autovacuum is not switched off for it
-- Locks    nothing
-- Plan     the server's statistics
-- Twin     none: SQLite takes a deleted row's place again at once.

CREATE FUNCTION list_bloat() RETURNS TABLE (
    name text, rows_alive bigint, rows_dead bigint, bytes bigint, is_vacuumed boolean
) LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT c.relname::text, pg_stat_get_live_tuples(c.oid), pg_stat_get_dead_tuples(c.oid), pg_total_relation_size(c.oid),
           NOT coalesce(c.reloptions && ARRAY['autovacuum_enabled=false', 'autovacuum_enabled=off'], false)
      FROM pg_class c
     WHERE c.oid = ANY (ARRAY['live', 'turns', 'claims', 'leases', 'history', 'finished_rest']::regclass[]);
END
$$;
