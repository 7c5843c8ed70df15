-- cancel_job: cancel a job that is not running, at once; ask the worker of one that is.
--
-- Takes    p_now bigint · p_token uuid
-- Returns  one row: was text (null: no such job), woken_queues, woken_slots, woken_places
-- Locks    the row, waiting for a claim, settle or cancel that has it; then what stage_keys locks.
-- Plan     Index Scan using live_pkey, then finished_pkey
-- Twin     store/sqlite/sql/cancel_job.sql; tests/contract/test_cancel.py runs both.

CREATE FUNCTION cancel_job(
    p_now bigint, p_token uuid,
    OUT was text, OUT woken_queues smallint[], OUT woken_slots smallint[], OUT woken_places bigint[]
) LANGUAGE plpgsql AS $$
DECLARE
    now_us bigint := coalesce(p_now, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint);
    gone record;
    staged record;
BEGIN
    WITH d AS (
        DELETE FROM live l WHERE l.token = p_token AND l.holder IS NULL RETURNING l.*
    ), f AS (
        INSERT INTO finished (token, seq, submitted_at, started_at, settled_at, expires_at, fence, recorded, worker, task_id,
                              hash16, attempts, crashes, queue_id, priority, codec, state, cancel_asked, key, payload, meta,
                              result, failure)
        SELECT d.token, d.seq, d.submitted_at, NULL, now_us, d.expires_at, d.fence, d.recorded, NULL, d.task_id, d.hash16,
               d.attempts, d.crashes, d.queue_id, d.priority, d.codec, 2, true, d.key, d.payload, d.meta, NULL, NULL
          FROM d
    )
    SELECT d.queue_id, d.slot, d.key, d.head, d.due_at INTO gone FROM d;
    IF FOUND THEN
        was := CASE WHEN gone.due_at > now_us THEN 'scheduled' ELSE 'waiting' END;

        -- step: removed

        -- Also when it was not the head: the key may have a turn and no head yet.
        IF gone.key IS NOT NULL THEN
            SELECT * INTO staged FROM stage_keys(ARRAY[gone.queue_id], ARRAY[gone.slot], ARRAY[gone.key], ARRAY[now_us]);
            woken_queues := staged.woken_queues;
            woken_slots := staged.woken_slots;
            woken_places := staged.woken_places;
        END IF;
        PERFORM tell_wakes(woken_queues, woken_slots, woken_places, ARRAY[p_token]);
        RETURN;
    END IF;

    UPDATE live SET cancel_asked = true WHERE token = p_token AND holder IS NOT NULL;
    IF FOUND THEN
        was := 'running';
        PERFORM pg_notify(current_schema(), '{"c":["' || p_token || '"]}');
        RETURN;
    END IF;

    -- One look at both: a job that was settled between two looks would be in neither, and be said never to have been there.
    SELECT x.was INTO was
      FROM (SELECT (ARRAY['succeeded', 'failed', 'cancelled', 'expired'])[f.state + 1] AS was FROM finished f
             WHERE f.token = p_token
             UNION ALL
            SELECT NULL FROM live l WHERE l.token = p_token) x;
    IF FOUND AND was IS NULL THEN
        -- Released, or put back, between the looks: it is waiting again.
        SELECT c.was, c.woken_queues, c.woken_slots, c.woken_places INTO was, woken_queues, woken_slots, woken_places
          FROM cancel_job(p_now, p_token) c;
    END IF;
END
$$;
