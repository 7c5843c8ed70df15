-- list_holders: who holds vacuum back, or holds locks without working: what was removed piles up as long as they stay.
--
-- Takes    nothing
-- Returns  kind text: session, prepared, slot or standby · name · seconds integer: since when (null: not known) · xids integer:
--          how many transactions its snapshot is old · detail text: a session's state, whose a prepared transaction is ·
--          wal_bytes bigint: the log that a slot keeps
-- Locks    nothing
-- Plan     the server's own lists
-- Twin     none: on SQLite it is the length of the log, made in its own doctor.

CREATE FUNCTION list_holders() RETURNS TABLE (
    kind text, name text, seconds integer, xids integer, detail text, wal_bytes bigint
) LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT 'session', format('%s of %s (%s)', a.pid, a.usename, a.application_name),
           extract(epoch FROM clock_timestamp() - a.xact_start)::integer, greatest(age(a.backend_xmin), age(a.backend_xid)),
           a.state, NULL::bigint
      FROM pg_stat_activity a
     WHERE a.datname = current_database() AND a.pid <> pg_backend_pid() AND a.backend_type = 'client backend'
       AND a.xact_start IS NOT NULL
       AND (a.backend_xmin IS NOT NULL OR a.backend_xid IS NOT NULL OR a.state LIKE 'idle in transaction%')
     UNION ALL
    SELECT 'prepared', p.gid, extract(epoch FROM clock_timestamp() - p.prepared)::integer, age(p.transaction),
           p.owner::text, NULL
      FROM pg_prepared_xacts p
     WHERE p.database = current_database()
     UNION ALL
    SELECT 'slot', s.slot_name::text, NULL, greatest(age(s.xmin), age(s.catalog_xmin)),
           CASE WHEN s.active THEN 'active' ELSE 'inactive' END,
           CASE WHEN NOT pg_is_in_recovery() THEN pg_wal_lsn_diff(pg_current_wal_lsn(), s.restart_lsn)::bigint END
      FROM pg_replication_slots s
     UNION ALL
    SELECT 'standby', r.application_name, NULL, age(r.backend_xmin), r.state, NULL
      FROM pg_stat_replication r
     WHERE r.backend_xmin IS NOT NULL;
END
$$;
