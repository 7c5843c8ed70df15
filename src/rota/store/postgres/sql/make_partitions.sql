-- make_partitions: see that the days to come have their partitions of finished.
--
-- Takes    p_now bigint · p_settled_before bigint: where retention ends; the longer it is, the more days a partition has
-- Returns  integer: how many were made. Zero also when somebody has a lock in the way: ask again later.
-- Locks    finished SHARE UPDATE EXCLUSIVE, which no settle minds; finished_rest ACCESS EXCLUSIVE for the look that nothing in
--          it belongs to the new range. Waits at most 100 ms for each, so that those who queue behind it wait no longer.
-- Plan     a few rows of the catalogue; Index Scan using finished_rest_pkey, once a day
-- Twin     none: SQLite has no partitions; tests/postgres/test_partitions.py runs it.

CREATE FUNCTION make_partitions(p_now bigint, p_settled_before bigint) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET lock_timeout = '100ms' AS $$
DECLARE
    lock_class CONSTANT integer := 7003;
    day_ms CONSTANT bigint := 86400000;
    -- A token may be a day ahead of the server, and the keeper of the house away for a night.
    ahead_ms CONSTANT bigint := 2 * day_ms;
    -- ATTACH reads the rest whole, under its lock: a large one waits for a quiet hour, see `rota doctor`.
    rest_bytes_max CONSTANT bigint := 1 << 30;
    now_ms bigint := coalesce(p_now, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint) / 1000;
    -- About ten partitions in all, however long the retention: a look-up by many tokens opens every one of them.
    days bigint := greatest(1, least(30, (now_ms - coalesce(p_settled_before / 1000, now_ms)) / (10 * day_ms)));
    day bigint := now_ms / day_ms * day_ms;
    until bigint;
    taken uuid;
    part text;
    made integer := 0;
BEGIN
    PERFORM require_delete();
    -- Nothing to do, nearly always: seen without a lock.
    IF NOT EXISTS (SELECT FROM generate_series(day, now_ms + ahead_ms, day_ms) d
                    WHERE NOT EXISTS (SELECT FROM list_partitions() p
                                       WHERE p.lower <= token_at(d) AND p.upper > token_at(d))) THEN
        RETURN 0;
    END IF;
    IF NOT pg_try_advisory_xact_lock(lock_class, hashtext(current_schema()))
       OR (SELECT p.bytes FROM list_partitions() p WHERE p.is_rest) > rest_bytes_max THEN
        RETURN 0;
    END IF;

    WHILE day <= now_ms + ahead_ms LOOP
        SELECT p.upper INTO taken FROM list_partitions() p WHERE p.lower <= token_at(day) AND p.upper > token_at(day);
        IF FOUND THEN
            day := token_ms(taken);
            CONTINUE;
        END IF;
        until := day + days * day_ms;
        SELECT p.lower INTO taken
          FROM list_partitions() p
         WHERE p.lower > token_at(day) AND p.lower < token_at(until)
         ORDER BY p.lower
         LIMIT 1;
        IF FOUND THEN
            until := token_ms(taken);
        END IF;
        -- Jobs of that time which are in the rest already stay there, and so do the others of their day.
        IF EXISTS (SELECT FROM finished_rest f WHERE f.token >= token_at(day) AND f.token < token_at(until)) THEN
            day := day + day_ms;
            CONTINUE;
        END IF;
        part := 'finished_' || to_char(to_timestamp(day / 1000) AT TIME ZONE 'UTC', 'YYYYMMDD');
        IF to_regclass(part) IS NOT NULL THEN
            -- Somebody has detached one of this name and kept it.
            part := part || '_' || pg_current_xact_id();
        END IF;
        -- Made by itself and then attached: CREATE TABLE … PARTITION OF would lock out every settle.
        -- Nothing in it is ever changed, so that a vacuum after so many inserts would only write it a second time.
        EXECUTE format('CREATE TABLE %I (LIKE finished INCLUDING ALL) WITH (autovacuum_vacuum_insert_threshold = -1)', part);
        EXECUTE format('ALTER TABLE finished ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
                       part, token_at(day), token_at(until));
        made := made + 1;
        day := until;
    END LOOP;
    RETURN made;
EXCEPTION
    -- A dump, a vacuum, a caller's long transaction; or a job of that time was settled into the rest just now. Nothing was
    -- made, and there are days left to try again.
    WHEN lock_not_available OR check_violation THEN
        RETURN 0;
END
$$;
