-- drop_partition: take one step towards dropping a partition of finished in which everything was settled long ago.
--
-- Takes    p_now bigint · p_settled_before bigint · p_limit integer: how much history to remove in one step
-- Returns  one row: part text (null: nothing more to do now), jobs bigint (an estimate, once it is dropped; zero before)
-- Locks    for the last step finished ACCESS EXCLUSIVE, for a few ms; waits at most 100 ms for it, so that those who queue
--          behind wait no longer. To make the index on settled_at, once, a day after its end: that partition SHARE, which
--          holds up a late settle into it.
-- Plan     Bitmap Index Scan using the partition's index on settled_at; Index Scan using history_pkey
-- Twin     none: SQLite has no partitions; tests/postgres/test_partitions.py runs it.

CREATE FUNCTION drop_partition(p_now bigint, p_settled_before bigint, p_limit integer, OUT part text, OUT jobs bigint)
LANGUAGE plpgsql SECURITY DEFINER SET lock_timeout = '100ms' SET enable_seqscan = off AS $$
DECLARE
    lock_class CONSTANT integer := 7003;
    kept_ms CONSTANT bigint := 25 * 3600 * 1000;
    now_ms bigint := coalesce(p_now, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint) / 1000;
    -- A job that is submitted again within a day must be recognised, so its partition stays, whatever the retention.
    ended_before uuid := token_at(least(p_settled_before / 1000, now_ms - kept_ms));
    is_needed boolean;
    has_history boolean;
    old record;
BEGIN
    PERFORM require_delete();
    IF NOT pg_try_advisory_xact_lock(lock_class, hashtext(current_schema())) THEN
        RETURN;
    END IF;
    FOR old IN
        SELECT p.part, p.lower, p.upper, p.jobs, left(p.part, 50) || '_settled' AS index_name
          FROM list_partitions() p
         WHERE p.upper <= ended_before
         ORDER BY p.lower
    LOOP
        -- Rows come in the order of their settles, so that a few pages of BRIN tell the newest. Made now and not with the
        -- partition, since it would cost every settle a little; and kept by a step of its own.
        IF to_regclass(quote_ident(old.index_name)) IS NULL THEN
            EXECUTE format('CREATE INDEX %I ON %I USING brin (settled_at)', old.index_name, old.part);
            part := old.part;
            jobs := 0;
            RETURN;
        END IF;
        PERFORM brin_summarize_new_values(quote_ident(old.index_name)::regclass);
        EXECUTE format('SELECT EXISTS (SELECT FROM %I WHERE settled_at >= $1)', old.part) INTO is_needed
          USING p_settled_before;
        CONTINUE WHEN is_needed;

        WITH h AS MATERIALIZED (
            SELECT h.token, h.fence, h.kind
              FROM history h
             WHERE h.token >= old.lower AND h.token < old.upper
               AND (SELECT true FROM live l WHERE l.token = h.token LIMIT 1) IS NULL
             LIMIT p_limit
        ), d AS (
            DELETE FROM history x USING h WHERE x.token = ANY (ARRAY[h.token]) AND x.fence = h.fence AND x.kind = h.kind
         RETURNING 1
        )
        SELECT count(*) > 0 INTO has_history FROM d;
        IF has_history THEN
            part := old.part;
            jobs := 0;
            RETURN;
        END IF;

        -- The parent first, as every settle does. Whoever settled into it before this lock is seen after it.
        LOCK TABLE ONLY finished IN ACCESS EXCLUSIVE MODE;
        EXECUTE format('LOCK TABLE %I IN ACCESS EXCLUSIVE MODE NOWAIT', old.part);
        EXECUTE format('SELECT EXISTS (SELECT FROM %I WHERE settled_at >= $1)', old.part) INTO is_needed
          USING p_settled_before;
        IF is_needed THEN
            RETURN;
        END IF;
        EXECUTE format('DROP TABLE %I', old.part);
        part := old.part;
        jobs := old.jobs;
        RETURN;
    END LOOP;
EXCEPTION
    -- A dump, a vacuum, a caller's long transaction: nothing was done, and nothing is lost by trying again.
    WHEN lock_not_available THEN
        part := NULL;
END
$$;
