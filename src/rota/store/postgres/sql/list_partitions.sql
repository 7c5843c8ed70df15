-- list_partitions: the partitions of finished, oldest first, the one for all else last.
--
-- Takes    nothing
-- Returns  part text, is_rest boolean, lower, upper uuid (null for the rest), jobs bigint (an estimate), bytes bigint
-- Locks    nothing
-- Plan     a few rows of the catalogue
-- Twin     none: SQLite has no partitions.

CREATE FUNCTION list_partitions() RETURNS TABLE (
    part text, is_rest boolean, lower uuid, upper uuid, jobs bigint, bytes bigint
) LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT x.relname::text, x.bounds = 'DEFAULT', (regexp_match(x.bounds, 'FROM \(''([0-9a-f-]+)''\)'))[1]::uuid,
           (regexp_match(x.bounds, 'TO \(''([0-9a-f-]+)''\)'))[1]::uuid, greatest(x.reltuples, 0)::bigint,
           pg_total_relation_size(x.oid)
      FROM (SELECT c.oid, c.relname, c.reltuples, pg_get_expr(c.relpartbound, c.oid) AS bounds
              FROM pg_inherits i
              JOIN pg_class c ON c.oid = i.inhrelid
             WHERE i.inhparent = to_regclass('finished')) x
     ORDER BY 2, 3;
END
$$;
