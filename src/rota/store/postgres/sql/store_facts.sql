-- store_facts: what rota doctor looks at.
--
-- Takes    nothing
-- Returns  one row: server_version, fsync, full_page_writes, synchronous_commit, standbys, is_in_recovery, live_jobs (an
--          estimate), turns, oldest_snapshot_s, closed_holders
-- Locks    nothing
-- Plan     statistics; a few rows
-- Twin     none: SQLite answers with pragmas, one statement each, made in its own doctor.

CREATE FUNCTION store_facts(
    OUT server_version text, OUT fsync text, OUT full_page_writes text, OUT synchronous_commit text, OUT standbys text,
    OUT is_in_recovery boolean, OUT live_jobs bigint, OUT turns bigint, OUT oldest_snapshot_s integer,
    OUT closed_holders bigint
) LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
BEGIN
    SELECT current_setting('server_version'), current_setting('fsync'), current_setting('full_page_writes'),
           current_setting('synchronous_commit'), current_setting('synchronous_standby_names'), pg_is_in_recovery(),
           (SELECT c.reltuples::bigint FROM pg_class c WHERE c.oid = 'live'::regclass),
           (SELECT count(*) FROM turns),
           (SELECT extract(epoch FROM max(clock_timestamp() - a.xact_start))::integer
              FROM pg_stat_activity a WHERE a.backend_xmin IS NOT NULL),
           (SELECT count(DISTINCT w.id) FROM workers w JOIN claims c ON c.worker = w.id WHERE w.closed_at IS NOT NULL)
      INTO server_version, fsync, full_page_writes, synchronous_commit, standbys, is_in_recovery, live_jobs, turns,
           oldest_snapshot_s, closed_holders;
END
$$;
