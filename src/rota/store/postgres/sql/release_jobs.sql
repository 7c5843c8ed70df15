-- release_jobs: put back what a closed worker held. To be called again until it is complete.
--
-- Takes    p_now bigint · p_worker bigint · p_running uuid[]: what was running, null if nobody can know · p_failure bytea ·
--          p_condemns boolean · p_forgives boolean
-- Returns  one row: released, suspects, condemned uuid[]; woken_queues, woken_slots, woken_places; is_complete; has_alone.
--          Raises RO108 when the worker is open.
-- Locks    the rows that it holds, SKIPPING locked ones: waiting for the dead worker's last settle, which takes rows in its
--          own order, ends in a deadlock. Then what stage_keys locks.
-- Plan     Index Scan using claims_pkey, then live_pkey, once a job; then Tid Scan
-- Twin     store/sqlite/sql/release_job.sql; tests/contract/test_close.py runs both.

CREATE FUNCTION release_jobs(
    p_now bigint, p_worker bigint, p_running uuid[], p_failure bytea, p_condemns boolean, p_forgives boolean,
    OUT released uuid[], OUT suspects uuid[], OUT condemned uuid[],
    OUT woken_queues smallint[], OUT woken_slots smallint[], OUT woken_places bigint[],
    OUT is_complete boolean, OUT has_alone boolean
) LANGUAGE plpgsql AS $$
DECLARE
    now_us bigint := coalesce(p_now, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint);
    worker_name text;
    found_rows tid[];
    blamed uuid[];
    guilty tid[];
    key_queues smallint[];
    key_slots smallint[];
    keys text[];
    staged record;
BEGIN
    SELECT w.name INTO worker_name FROM workers w WHERE w.id = p_worker AND w.closed_at IS NOT NULL;
    IF NOT FOUND THEN
        IF NOT EXISTS (SELECT FROM workers w WHERE w.id = p_worker) THEN
            is_complete := true;
            RETURN;
        END IF;
        RAISE EXCEPTION 'worker % is open', p_worker USING ERRCODE = 'RO108';
    END IF;

    SELECT array_agg(x.ctid), array_agg(x.token) FILTER (WHERE NOT p_forgives AND (p_running IS NULL OR x.token = ANY (p_running))),
           array_agg(x.ctid) FILTER (WHERE p_condemns AND NOT p_forgives AND (p_running IS NULL OR x.token = ANY (p_running)))
      INTO found_rows, blamed, guilty
      FROM (SELECT DISTINCT t.token FROM claims c CROSS JOIN unnest(c.tokens) t(token) WHERE c.worker = p_worker) c
     CROSS JOIN LATERAL (
           SELECT l.ctid, l.token FROM live l WHERE l.token = c.token AND l.holder = p_worker FOR UPDATE SKIP LOCKED) x;

    -- step: rows locked

    IF guilty IS NOT NULL THEN
        WITH d AS (
            DELETE FROM live l WHERE l.ctid = ANY (guilty) RETURNING l.*
        ), f AS (
            INSERT INTO finished (token, seq, submitted_at, started_at, settled_at, expires_at, fence, recorded, worker,
                                  task_id, hash16, attempts, crashes, queue_id, priority, codec, state, cancel_asked, key,
                                  payload, meta, result, failure)
            SELECT d.token, d.seq, d.submitted_at, NULL, now_us, d.expires_at, d.fence, d.recorded, p_worker, d.task_id,
                   d.hash16, d.attempts + 1, d.crashes + 1, d.queue_id, d.priority, d.codec, 1, d.cancel_asked, d.key,
                   d.payload, d.meta, NULL, p_failure
              FROM d
        )
        SELECT array_agg(d.token), array_agg(d.queue_id) FILTER (WHERE d.head), array_agg(d.slot) FILTER (WHERE d.head),
               array_agg(d.key) FILTER (WHERE d.head)
          INTO condemned, key_queues, key_slots, keys
          FROM d;
    END IF;

    WITH u AS (
        UPDATE live l
           SET holder = NULL, claimed_at = NULL, ready_at = now_us,
               crashes = l.crashes + (l.token = ANY (coalesce(blamed, '{}')))::integer,
               expires_at = CASE WHEN l.token = ANY (coalesce(blamed, '{}')) THEN NULL ELSE l.expires_at END,
               alone = l.alone OR (l.token = ANY (coalesce(blamed, '{}')) AND l.crashes >= 1)
         WHERE l.ctid = ANY (found_rows) AND l.holder = p_worker
     RETURNING l.token, l.queue_id, l.slot, l.place, l.fence, l.alone, l.token = ANY (coalesce(blamed, '{}')) AS is_blamed
    ), h AS (
        INSERT INTO history (token, fence, kind, at, worker, failure)
        SELECT u.token, u.fence, CASE WHEN u.is_blamed THEN 'crashed' ELSE 'released' END, now_us, worker_name, p_failure
          FROM u
            ON CONFLICT DO NOTHING
    ), w AS (
        SELECT u.queue_id, u.slot, min(u.place) AS place FROM u WHERE NOT u.alone GROUP BY u.queue_id, u.slot
    )
    SELECT (SELECT array_agg(u.token) FROM u), (SELECT array_agg(u.token) FROM u WHERE u.is_blamed),
           (SELECT bool_or(u.alone) FROM u),
           (SELECT array_agg(w.queue_id) FROM w), (SELECT array_agg(w.slot) FROM w), (SELECT array_agg(w.place) FROM w)
      INTO released, suspects, has_alone, woken_queues, woken_slots, woken_places;

    IF keys IS NOT NULL THEN
        SELECT * INTO staged
          FROM stage_keys(key_queues, key_slots, keys, array_fill(now_us, ARRAY[cardinality(keys)]));
        woken_queues := woken_queues || staged.woken_queues;
        woken_slots := woken_slots || staged.woken_slots;
        woken_places := woken_places || staged.woken_places;
    END IF;

    SELECT count(*) = 0 INTO is_complete
      FROM claims c
     CROSS JOIN unnest(c.tokens) t(token)
     CROSS JOIN LATERAL (SELECT true FROM live l WHERE l.token = t.token AND l.holder = p_worker LIMIT 1) x
     WHERE c.worker = p_worker;
    IF is_complete THEN
        DELETE FROM claims WHERE worker = p_worker;
    END IF;
    PERFORM tell_wakes(woken_queues, woken_slots, woken_places, condemned);
    IF has_alone THEN
        PERFORM pg_notify(current_schema(), '{"a":true}');
    END IF;
END
$$;
