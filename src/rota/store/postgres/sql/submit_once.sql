-- submit_once: put one job in whose token its maker may have sent before; say what is wrong instead of raising it, since an
-- error would end the transaction of a caller who could go on without the job.
--
-- Takes    p_now bigint · p_skew_ms bigint · the job's columns
-- Returns  text: done; duplicate (it was there already, and nothing was done); reused (the token has another task, payload or
--          key); skewed (its own time is too far from now); snapshot (the transaction looks at an old snapshot, in which a job
--          that was settled meanwhile cannot be seen). Only after done has anything been written of the job.
-- Locks    its own new row. Waits for a transaction that is inserting or removing the same token.
-- Plan     Index Scan using live_pkey and finished_pkey
-- Twin     store/sqlite/sql/insert_job.sql and store/sqlite/sql/same_job.sql; tests/postgres/test_transactional.py runs it.

CREATE FUNCTION submit_once(
    p_now bigint, p_skew_ms bigint,
    p_token uuid, p_queue smallint, p_task integer, p_hash16 integer, p_key text, p_priority smallint,
    p_due_at bigint, p_expires_at bigint, p_payload bytea, p_codec smallint, p_meta bytea
) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    now_us bigint := coalesce(p_now, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint);
    soon CONSTANT bigint := 5000000;
    is_skewed boolean := abs(token_ms(p_token) - now_us / 1000) > p_skew_ms;
    due bigint := CASE WHEN p_due_at > now_us THEN p_due_at END;
    new_slot CONSTANT smallint := p_hash16 >> 6;
    new_seq bigint;
    new_place bigint;
    known record;
BEGIN
    IF current_setting('transaction_isolation') IN ('repeatable read', 'serializable') THEN
        RETURN 'snapshot';
    END IF;
    IF NOT is_skewed THEN
        new_seq := nextval('live_seq');
        INSERT INTO live (token, queue_id, task_id, hash16, key, priority, due_at, expires_at, payload, codec, meta, ready,
                          ready_at, submitted_at, slot, seq, place)
        VALUES (p_token, p_queue, p_task, p_hash16, p_key, p_priority, due, p_expires_at, p_payload, p_codec, p_meta,
                p_key IS NULL AND due IS NULL, now_us, now_us, new_slot, new_seq, place_of(p_priority, new_seq))
            ON CONFLICT (token) DO NOTHING
     RETURNING place INTO new_place;
    END IF;

    -- step: inserted

    -- In a later statement: the insert may have waited for the settle of this very job, which this snapshot sees and the
    -- insert's did not. Looked at any earlier, a finished job comes back to life. Live and finished in one: a job that is
    -- settled between two looks would be in neither.
    SELECT x.task_id, x.key, x.payload INTO known
      FROM (SELECT f.task_id, f.key, f.payload FROM finished f WHERE f.token = p_token
             UNION ALL
            SELECT l.task_id, l.key, l.payload FROM live l WHERE l.token = p_token AND new_place IS NULL) x
     LIMIT 1;
    IF FOUND THEN
        DELETE FROM live WHERE token = p_token AND new_place IS NOT NULL;
        -- So that this commit waits for a synchronous standby, which the one that wrote the job may not have done to its end.
        PERFORM pg_logical_emit_message(true, 'rota', '');
        RETURN CASE WHEN (known.task_id, known.key, known.payload) IS DISTINCT FROM (p_task, p_key, p_payload) THEN 'reused'
                    ELSE 'duplicate' END;
    ELSIF new_place IS NULL THEN
        RETURN 'skewed';
    END IF;
    IF p_key IS NOT NULL AND due IS NULL THEN
        INSERT INTO turns (queue_id, slot, key, since) VALUES (p_queue, new_slot, p_key, now_us);
    END IF;
    IF due IS NULL OR due <= now_us + soon THEN
        PERFORM tell_wakes(ARRAY[p_queue], ARRAY[new_slot], ARRAY[new_place], NULL);
    END IF;
    RETURN 'done';
END
$$;
