-- claim_alone: take the oldest suspect of any queue that is not paused, for a worker that runs it alone.
--
-- Takes    p_now bigint · p_worker bigint · p_tasks integer[]
-- Returns  as claim_jobs: at most one job, then a row of facts. Raises RO310 when the worker is closed.
-- Locks    the worker's row for key share; the claimed row, skipping locked ones.
-- Plan     Index Scan using live_alone
-- Twin     store/sqlite/sql/claim_alone.sql; tests/contract/test_alone.py runs both.

CREATE FUNCTION claim_alone(p_now bigint, p_worker bigint, p_tasks integer[]) RETURNS TABLE (
    seq bigint, token uuid, task_id integer, slot smallint, key text, priority smallint, payload bytea, codec smallint,
    meta bytea, fence bigint, attempts integer, crashes integer, cancel_asked boolean, expires_at bigint, claim_no bigint,
    queue_id smallint, epoch bigint, due_in_us bigint, skipped smallint[], is_paused boolean
) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    now_us bigint := coalesce(p_now, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint);
    chosen tid;
BEGIN
    PERFORM FROM workers w WHERE w.id = p_worker AND w.closed_at IS NULL AND w.is_alone FOR KEY SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'worker % is closed, or not one that runs alone', p_worker USING ERRCODE = 'RO310';
    END IF;
    SELECT l.ctid INTO chosen
      FROM live l
     WHERE l.alone AND l.ready AND l.holder IS NULL AND l.task_id = ANY (p_tasks)
       AND NOT (SELECT q.is_paused FROM queues q WHERE q.id = l.queue_id)
     ORDER BY l.seq
     LIMIT 1
       FOR UPDATE OF l SKIP LOCKED;
    RETURN QUERY
    WITH c AS (
        UPDATE live l
           SET holder = p_worker, fence = l.fence + 1, claimed_at = now_us
         WHERE l.ctid = chosen AND l.holder IS NULL
     RETURNING l.*
    ), g AS (
        INSERT INTO claims (worker, tokens) SELECT p_worker, array_agg(c.token) FROM c HAVING count(*) > 0 RETURNING no
    )
    SELECT c.seq, c.token, c.task_id, c.slot, c.key, c.priority, c.payload, c.codec, c.meta, c.fence, c.attempts,
           c.crashes, c.cancel_asked, c.expires_at, g.no, c.queue_id, NULL::bigint, NULL::bigint, NULL::smallint[], NULL::boolean
      FROM c CROSS JOIN g;
    RETURN QUERY SELECT NULL::bigint, NULL::uuid, NULL::integer, NULL::smallint, NULL::text, NULL::smallint, NULL::bytea,
        NULL::smallint, NULL::bytea, NULL::bigint, NULL::integer, NULL::integer, NULL::boolean, NULL::bigint, NULL::bigint,
        NULL::smallint, h.epoch, NULL::bigint, NULL::smallint[], false FROM house h;
END
$$;
