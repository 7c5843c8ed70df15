-- list_standbys: the servers that follow this one.
--
-- Takes    nothing
-- Returns  name, state, sync_state text; the last two are null for a role that may not see them
-- Locks    nothing
-- Plan     the server's own list
-- Twin     none: SQLite has no standbys.

CREATE FUNCTION list_standbys() RETURNS TABLE (name text, state text, sync_state text) LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY SELECT r.application_name, r.state, r.sync_state FROM pg_stat_replication r ORDER BY 1;
END
$$;
