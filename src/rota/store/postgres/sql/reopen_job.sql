-- reopen_job: put a failed, cancelled or expired job back, at the last place, its fence and history kept.
--
-- Takes    p_now bigint · p_token uuid
-- Returns  one row: woken_queues, woken_slots, woken_places. Raises RO204 when there is no such job, RO108 when its state
--          does not allow it.
-- Locks    the finished row; the new live one.
-- Plan     Index Scan using finished_pkey
-- Twin     store/sqlite/sql/reopen_job.sql; tests/contract/test_reopen.py runs both.

CREATE FUNCTION reopen_job(
    p_now bigint, p_token uuid,
    OUT woken_queues smallint[], OUT woken_slots smallint[], OUT woken_places bigint[]
) LANGUAGE plpgsql AS $$
DECLARE
    now_us bigint := coalesce(p_now, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint);
    was smallint;
BEGIN
    -- recorded takes the fence: a settle of the old run that is repeated now must not end the new one.
    WITH f AS (
        DELETE FROM finished f WHERE f.token = p_token AND f.state <> 0 RETURNING f.*, nextval('live_seq') AS new_seq
    ), i AS (
        INSERT INTO live (token, queue_id, task_id, hash16, key, priority, payload, codec, meta, ready, ready_at, submitted_at,
                          fence, recorded, slot, seq, place)
        SELECT f.token, f.queue_id, f.task_id, f.hash16, f.key, f.priority, f.payload, f.codec, f.meta, f.key IS NULL, now_us,
               f.submitted_at, f.fence, f.fence, f.hash16 >> 6, f.new_seq, place_of(f.priority, f.new_seq)
          FROM f
     RETURNING queue_id, slot, key, place
    ), t AS (
        INSERT INTO turns (queue_id, slot, key, since)
        SELECT i.queue_id, i.slot, i.key, now_us FROM i WHERE i.key IS NOT NULL
    ), h AS (
        INSERT INTO history (token, fence, kind, at, worker, failure, started_at)
        SELECT f.token, f.fence, 'failed', f.settled_at, coalesce((SELECT w.name FROM workers w WHERE w.id = f.worker), ''),
               f.failure, f.started_at
          FROM f
         WHERE f.state = 1
            ON CONFLICT DO NOTHING
    )
    SELECT array_agg(i.queue_id), array_agg(i.slot), array_agg(i.place), (SELECT f.state FROM f)
      INTO woken_queues, woken_slots, woken_places, was
      FROM i;
    IF woken_slots IS NOT NULL THEN
        INSERT INTO history (token, fence, kind, at, state)
        SELECT l.token, l.fence, 'reopened', now_us, was FROM live l WHERE l.token = p_token
            ON CONFLICT (token, fence, kind) DO UPDATE SET at = excluded.at, state = excluded.state;
        PERFORM tell_wakes(woken_queues, woken_slots, woken_places, NULL);
        RETURN;
    END IF;
    PERFORM FROM live l WHERE l.token = p_token UNION ALL SELECT FROM finished f WHERE f.token = p_token;
    IF FOUND THEN
        RAISE EXCEPTION 'job % is live or has succeeded', p_token USING ERRCODE = 'RO108';
    END IF;
    RAISE EXCEPTION 'no job has the token %', p_token USING ERRCODE = 'RO204';
END
$$;
