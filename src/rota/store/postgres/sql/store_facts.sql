-- store_facts: what `rota doctor` is to know of the server and of the store, in one row.
--
-- Takes    p_now bigint
-- Returns  settings as the server names them; connections_used, connections_max integer and the role's own limit (null: none);
--          notify_usage: share of the notification queue in use; live_jobs: an estimate; turns; closed_holders: closed workers
--          that hold jobs; forgotten: keys that nobody would come to; days_ahead: until the end of the last partition that is needed soon;
--          sees_all: may look at other roles' sessions
-- Locks    nothing
-- Plan     statistics; a few rows; that of forgotten_keys
-- Twin     none: SQLite answers with pragmas, one statement each, made in its own doctor.

CREATE FUNCTION store_facts(
    p_now bigint,
    OUT server_version text, OUT server_version_num integer, OUT fsync text, OUT full_page_writes text,
    OUT synchronous_commit text, OUT synchronous_standby_names text, OUT isolation text, OUT read_only text,
    OUT autovacuum text, OUT naptime_s integer, OUT is_in_recovery boolean, OUT connections_used integer, OUT connections_max integer,
    OUT role_connections_used integer, OUT role_connections_max integer, OUT notify_usage double precision,
    OUT live_jobs bigint, OUT turns bigint, OUT closed_holders bigint, OUT forgotten bigint,
    OUT days_ahead double precision, OUT role_name text, OUT owner_name text, OUT sees_all boolean
) LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
DECLARE
    now_ms bigint := coalesce(p_now, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint) / 1000;
BEGIN
    server_version := current_setting('server_version');
    server_version_num := current_setting('server_version_num');
    fsync := current_setting('fsync');
    full_page_writes := current_setting('full_page_writes');
    synchronous_commit := current_setting('synchronous_commit');
    synchronous_standby_names := current_setting('synchronous_standby_names');
    isolation := current_setting('default_transaction_isolation');
    read_only := current_setting('default_transaction_read_only');
    autovacuum := current_setting('autovacuum');
    naptime_s := (SELECT s.setting FROM pg_settings s WHERE s.name = 'autovacuum_naptime');
    is_in_recovery := pg_is_in_recovery();

    -- pg_stat_database, and not pg_stat_activity: everybody may look at it.
    connections_used := (SELECT sum(d.numbackends) FROM pg_stat_database d);
    connections_max := current_setting('max_connections')::integer - current_setting('superuser_reserved_connections')::integer
                       - coalesce(current_setting('reserved_connections', true)::integer, 0);
    SELECT r.rolconnlimit INTO role_connections_max FROM pg_roles r WHERE r.rolname = current_user AND r.rolconnlimit >= 0;
    role_connections_used := (SELECT count(*) FROM pg_stat_activity a WHERE a.usesysid = current_user::regrole);

    notify_usage := CASE WHEN pg_is_in_recovery() THEN 0 ELSE pg_notification_queue_usage() END;
    live_jobs := (SELECT greatest(c.reltuples, 0)::bigint FROM pg_class c WHERE c.oid = 'live'::regclass);
    turns := (SELECT count(*) FROM turns);
    closed_holders := (SELECT count(DISTINCT w.id) FROM workers w JOIN claims c ON c.worker = w.id WHERE w.closed_at IS NOT NULL);
    forgotten := (SELECT count(*) FROM forgotten_keys());
    days_ahead := (SELECT (max(token_ms(p.upper)) - now_ms) / 86400000.0 FROM list_partitions() p
                    WHERE p.lower <= token_at(now_ms + 2 * 86400000));
    role_name := current_user;
    owner_name := (SELECT n.nspowner::regrole::text FROM pg_namespace n WHERE n.nspname = current_schema());
    sees_all := pg_has_role(current_user, 'pg_read_all_stats', 'USAGE');
END
$$;
