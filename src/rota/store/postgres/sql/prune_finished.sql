-- prune_finished: remove up to p_limit finished jobs that were settled long ago, their history, and who is long gone.
--
-- Takes    p_now bigint · p_settled_before bigint · p_limit integer. Jobs whose token is younger than 25 hours stay, so that
--          one which is submitted again is always recognised. Partitions are dropped whole (drop_partition): of theirs only
--          those jobs are removed here that a later settle keeps from it for more than a day.
-- Returns  integer: how many were removed
-- Locks    the removed rows, skipping locked ones of finished
-- Plan     Index Scan using finished_rest_pkey from the oldest token on; the few rows of workers and nodes
-- Twin     store/sqlite/sql/prune_finished.sql; tests/contract/test_house.py runs both.

CREATE FUNCTION prune_finished(p_now bigint, p_settled_before bigint, p_limit integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    now_us bigint := coalesce(p_now, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint);
    kept_ms CONSTANT bigint := 25 * 3600 * 1000;
    grace_ms CONSTANT bigint := 24 * 3600 * 1000;
    -- A token's time is at most a day after its settle, so that this is also where the scan may end.
    token_before uuid := token_at(least(now_us / 1000 - kept_ms, p_settled_before / 1000 + kept_ms));
    -- Workers that were closed before the oldest job that is kept was settled: nothing names them any more.
    gone_before bigint := least(p_settled_before,
                                (SELECT min(token_ms(p.lower) - kept_ms) * 1000 FROM list_partitions() p));
    removed integer := 0;
    is_pinned boolean;
    gone uuid[];
    one record;
BEGIN
    PERFORM require_delete();
    FOR one IN
        SELECT p.part, p.is_rest
          FROM list_partitions() p
         WHERE p.is_rest OR p.upper <= least(token_before, token_at(p_settled_before / 1000 - grace_ms))
         ORDER BY p.is_rest DESC, p.lower
    LOOP
        EXIT WHEN removed >= p_limit;
        IF NOT one.is_rest THEN
            -- Its index on settled_at, which drop_partition has made, can be read by bitmap only; the rows are wanted by token.
            PERFORM set_config('enable_bitmapscan', 'on', true);
            EXECUTE format('SELECT EXISTS (SELECT FROM %I WHERE settled_at >= $1)', one.part) INTO is_pinned
              USING p_settled_before;
            PERFORM set_config('enable_bitmapscan', 'off', true);
            CONTINUE WHEN NOT is_pinned;
        END IF;
        EXECUTE format(
            'WITH x AS MATERIALIZED (
                 SELECT f.token FROM %1$I f WHERE f.token < $1 AND f.settled_at < $2
                  ORDER BY f.token LIMIT $3 FOR UPDATE SKIP LOCKED
             ), d AS (
                 DELETE FROM %1$I f USING x WHERE f.token = ANY (ARRAY[x.token]) RETURNING f.token
             )
             SELECT array_agg(d.token) FROM d', one.part)
           INTO gone
          USING token_before, p_settled_before, p_limit - removed;
        DELETE FROM history h USING unnest(gone) o(token) WHERE h.token = ANY (ARRAY[o.token]);
        removed := removed + coalesce(cardinality(gone), 0);
    END LOOP;
    DELETE FROM workers w
     WHERE w.closed_at < gone_before AND NOT EXISTS (SELECT FROM claims c WHERE c.worker = w.id);
    DELETE FROM leases l
     USING nodes n
     WHERE n.id = l.node_id AND n.closed_at < gone_before
       AND NOT EXISTS (SELECT FROM workers w WHERE w.node_id = n.id);
    DELETE FROM nodes n WHERE n.closed_at < gone_before AND NOT EXISTS (SELECT FROM leases l WHERE l.node_id = n.id);
    RETURN removed;
END
$$;
