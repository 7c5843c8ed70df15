-- prune_finished: remove up to p_limit finished jobs that were settled long ago, their history, and who is long gone.
--
-- Takes    p_now bigint · p_settled_before bigint · p_limit integer. Jobs whose token is younger than 25 hours stay, so that
--          one which is submitted again is always recognised.
-- Returns  integer: how many were removed
-- Locks    the removed rows, skipping locked ones of finished
-- Plan     Index Scan using finished_pkey from the oldest token on; the few rows of workers and nodes
-- Twin     store/sqlite/sql/prune_finished.sql; tests/contract/test_house.py runs both.

CREATE FUNCTION prune_finished(p_now bigint, p_settled_before bigint, p_limit integer) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
    now_us bigint := coalesce(p_now, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint);
    kept_ms CONSTANT bigint := 25 * 3600 * 1000;
    -- A token's time is at most a day after its settle, so that this is also where the scan may end.
    last_ms bigint := least(now_us / 1000 - kept_ms, p_settled_before / 1000 + kept_ms);
    token_before uuid := (lpad(to_hex(greatest(last_ms, 0)), 12, '0') || repeat('0', 20))::uuid;
    old uuid[];
BEGIN
    SELECT array_agg(x.token) INTO old
      FROM (SELECT f.token
              FROM finished f
             WHERE f.token < token_before AND f.settled_at < p_settled_before
             ORDER BY f.token
             LIMIT p_limit
               FOR UPDATE SKIP LOCKED) x;
    DELETE FROM finished f USING unnest(old) o(token) WHERE f.token = ANY (ARRAY[o.token]);
    DELETE FROM history h USING unnest(old) o(token) WHERE h.token = ANY (ARRAY[o.token]);
    -- Workers that were closed before the oldest job that is kept was settled: nothing names them any more.
    DELETE FROM workers w
     WHERE w.closed_at < p_settled_before AND NOT EXISTS (SELECT FROM claims c WHERE c.worker = w.id);
    DELETE FROM leases l
     USING nodes n
     WHERE n.id = l.node_id AND n.closed_at < p_settled_before
       AND NOT EXISTS (SELECT FROM workers w WHERE w.node_id = n.id);
    DELETE FROM nodes n WHERE n.closed_at < p_settled_before AND NOT EXISTS (SELECT FROM leases l WHERE l.node_id = n.id);
    RETURN coalesce(cardinality(old), 0);
END
$$;
