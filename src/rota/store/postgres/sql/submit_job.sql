-- submit_job: put one job in whose token nobody has seen before. As submit_jobs, without arrays: half the time for a lone job.
--
-- Takes    p_now bigint · p_token_ms bigint: the token's own time · p_skew_ms bigint · the job's columns
-- Returns  bigint: the job's place; null when it is due much later. Raises RO105 for a token too far from now, and
--          unique_violation for a token that exists.
-- Locks    only its own new rows
-- Plan     Insert
-- Twin     store/sqlite/sql/insert_job.sql; tests/contract/test_submit.py runs both.

CREATE FUNCTION submit_job(
    p_now bigint, p_token_ms bigint, p_skew_ms bigint,
    p_token uuid, p_queue smallint, p_task integer, p_hash16 integer, p_key text, p_priority smallint,
    p_due_at bigint, p_expires_at bigint, p_payload bytea, p_codec smallint, p_meta bytea
) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    now_us bigint := coalesce(p_now, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint);
    soon CONSTANT bigint := 5000000;
    new_slot CONSTANT smallint := p_hash16 >> 6;
    new_seq bigint;
    new_place bigint;
BEGIN
    IF abs(p_token_ms - now_us / 1000) > p_skew_ms THEN
        RAISE EXCEPTION 'a token is off by more than % ms', p_skew_ms USING ERRCODE = 'RO105';
    END IF;
    IF p_due_at <= now_us THEN
        p_due_at := NULL;
    END IF;
    new_seq := nextval('live_seq');
    new_place := place_of(p_priority, new_seq);
    INSERT INTO live (token, queue_id, task_id, hash16, key, priority, due_at, expires_at, payload, codec, meta, ready,
                      ready_at, submitted_at, slot, seq, place)
    VALUES (p_token, p_queue, p_task, p_hash16, p_key, p_priority, p_due_at, p_expires_at, p_payload, p_codec, p_meta,
            p_key IS NULL AND p_due_at IS NULL, now_us, now_us, new_slot, new_seq, new_place);
    IF p_due_at > now_us + soon THEN
        RETURN NULL;
    END IF;
    IF p_key IS NOT NULL AND p_due_at IS NULL THEN
        INSERT INTO turns (queue_id, slot, key, since) VALUES (p_queue, new_slot, p_key, now_us);
    END IF;
    PERFORM pg_notify(slot_channel(new_slot), format('{"w":[[%s,%s,%s]]%s}', p_queue, new_slot, new_place,
        CASE WHEN p_key IS NULL AND p_due_at IS NULL THEN ',"r":true' END));
    RETURN new_place;
END
$$;
