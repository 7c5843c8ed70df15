-- submit_jobs: put jobs in whose tokens nobody has seen before, in the order given.
--
-- Takes    p_now bigint · p_oldest_ms, p_newest_ms bigint: bounds of the tokens' own times · p_skew_ms bigint · arrays side
--          by side, one entry a job. Queues, tasks, priorities and codecs may have one entry for all, the others none at all.
-- Returns  one row: woken_queues, woken_slots, woken_places. Raises RO105 for a token too far from now, and
--          unique_violation for a token that exists.
-- Locks    only its own new rows: for a key it takes no lock, so that a transaction that stays open holds up nobody.
-- Plan     Insert
-- Twin     store/sqlite/sql/insert_job.sql; tests/contract/test_submit.py runs both.

CREATE FUNCTION submit_jobs(
    p_now bigint, p_oldest_ms bigint, p_newest_ms bigint, p_skew_ms bigint,
    p_tokens uuid[], p_queues smallint[], p_tasks integer[], p_hashes integer[], p_keys text[], p_priorities smallint[],
    p_due_ats bigint[], p_expires_ats bigint[], p_payloads bytea[], p_codecs smallint[], p_metas bytea[],
    OUT woken_queues smallint[], OUT woken_slots smallint[], OUT woken_places bigint[]
) LANGUAGE plpgsql AS $$
DECLARE
    now_us bigint := coalesce(p_now, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint);
    -- A job that falls due this soon is worth a wake-up: its worker sets a timer. Later ones are found by polling.
    soon CONSTANT bigint := 5000000;
    has_more boolean;
BEGIN
    IF p_oldest_ms < now_us / 1000 - p_skew_ms OR p_newest_ms > now_us / 1000 + p_skew_ms THEN
        RAISE EXCEPTION 'a token is off by more than % ms', p_skew_ms USING ERRCODE = 'RO105';
    END IF;

    WITH i AS (
        INSERT INTO live (token, queue_id, task_id, hash16, key, priority, due_at, expires_at, payload, codec, meta, ready,
                          ready_at, submitted_at, slot, seq, place)
        SELECT u.token, coalesce(u.queue_id, p_queues[1]), coalesce(u.task_id, p_tasks[1]), u.hash16, u.key,
               coalesce(u.priority, p_priorities[1]), CASE WHEN u.due_at > now_us THEN u.due_at END, u.expires_at, u.payload,
               coalesce(u.codec, p_codecs[1]), u.meta,
               u.key IS NULL AND (u.due_at IS NULL OR u.due_at <= now_us),
               now_us, now_us, u.hash16 >> 6, u.seq, place_of(coalesce(u.priority, p_priorities[1]), u.seq)
          FROM (SELECT n.*, nextval('live_seq') AS seq
                  FROM unnest(p_tokens, p_queues, p_tasks, p_hashes, p_keys, p_priorities, p_due_ats, p_expires_ats, p_payloads,
                              p_codecs, p_metas)
                       WITH ORDINALITY
                       n(token, queue_id, task_id, hash16, key, priority, due_at, expires_at, payload, codec, meta, o)
                 ORDER BY n.o) u
     RETURNING queue_id, slot, key, due_at, place, ready
    ), a AS (
        INSERT INTO turns (queue_id, slot, key, since)
        SELECT DISTINCT i.queue_id, i.slot, i.key, now_us FROM i WHERE i.key IS NOT NULL AND i.due_at IS NULL
    ), w AS (
        SELECT i.queue_id, i.slot, min(i.place) AS place
          FROM i
         WHERE i.due_at IS NULL OR i.due_at <= now_us + soon
         GROUP BY i.queue_id, i.slot
    )
    SELECT array_agg(w.queue_id), array_agg(w.slot), array_agg(w.place), (SELECT true FROM i WHERE NOT i.ready LIMIT 1) IS NOT NULL
      INTO woken_queues, woken_slots, woken_places, has_more
      FROM w;
    PERFORM tell_wakes(woken_queues, woken_slots, woken_places, NULL, NOT has_more);
END
$$;
