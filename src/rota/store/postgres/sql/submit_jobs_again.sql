-- submit_jobs_again: put jobs in of which some may be there already, live or finished; leave those alone.
--
-- Takes    p_now bigint · p_skew_ms bigint · arrays side by side, one entry a job (no two of one token)
-- Returns  one row: duplicates uuid[], woken_queues, woken_slots, woken_places. Raises RO106 with the token as detail if one
--          exists with another task, payload or key, and RO105 if one is new and its own time too far from now.
-- Locks    its own new rows. Waits for a transaction that is inserting or removing the same token.
-- Plan     Index Scan using live_pkey and finished_pkey, once a job
-- Twin     store/sqlite/sql/insert_job.sql and store/sqlite/sql/same_job.sql; tests/contract/test_submit.py runs both.

CREATE FUNCTION submit_jobs_again(
    p_now bigint, p_skew_ms bigint,
    p_tokens uuid[], p_queues smallint[], p_tasks integer[], p_hashes integer[], p_keys text[], p_priorities smallint[],
    p_due_ats bigint[], p_expires_ats bigint[], p_payloads bytea[], p_codecs smallint[], p_metas bytea[],
    OUT duplicates uuid[], OUT woken_queues smallint[], OUT woken_slots smallint[], OUT woken_places bigint[]
) LANGUAGE plpgsql AS $$
DECLARE
    now_us bigint := coalesce(p_now, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint);
    soon CONSTANT bigint := 5000000;
    added uuid[];
    known uuid[];
    wrong uuid;
BEGIN
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
            ON CONFLICT (token) DO NOTHING
     RETURNING token
    )
    SELECT array_agg(i.token) INTO added FROM i;

    -- step: inserted

    -- In a later statement: the insert may have waited for the settle of this very job, which this snapshot sees and the
    -- insert's did not. Looked at any earlier, a finished job comes back to life.
    SELECT array_agg(f.token) INTO known
      FROM unnest(added) a(token) CROSS JOIN LATERAL (SELECT x.token FROM finished x WHERE x.token = a.token LIMIT 1) f;
    DELETE FROM live WHERE token = ANY (known);
    added := ARRAY(SELECT a.token FROM unnest(added) a(token) EXCEPT SELECT k.token FROM unnest(known) k(token));
    duplicates := ARRAY(SELECT t.token FROM unnest(p_tokens) t(token) EXCEPT SELECT a.token FROM unnest(added) a(token));

    SELECT u.token INTO wrong
      FROM unnest(p_tokens, p_tasks, p_keys, p_payloads) u(token, task_id, key, payload)
      LEFT JOIN LATERAL (SELECT l.task_id, l.key, l.payload FROM live l WHERE l.token = u.token
                         UNION ALL
                         SELECT f.task_id, f.key, f.payload FROM finished f WHERE f.token = u.token
                         LIMIT 1) x ON true
     WHERE u.token = ANY (duplicates)
       AND (x.task_id, x.key, x.payload) IS DISTINCT FROM (coalesce(u.task_id, p_tasks[1]), u.key, u.payload)
     LIMIT 1;
    IF wrong IS NOT NULL THEN
        RAISE EXCEPTION 'token % has another task, payload or key', wrong USING ERRCODE = 'RO106', DETAIL = wrong::text;
    END IF;

    SELECT a.token INTO wrong
      FROM unnest(added) a(token)
     WHERE abs(('x' || left(replace(a.token::text, '-', ''), 12))::bit(48)::bigint - now_us / 1000) > p_skew_ms
     LIMIT 1;
    IF wrong IS NOT NULL THEN
        RAISE EXCEPTION 'token % is off by more than % ms', wrong, p_skew_ms USING ERRCODE = 'RO105', DETAIL = wrong::text;
    END IF;

    WITH i AS MATERIALIZED (
        SELECT x.*
          FROM unnest(added) a(token)
         CROSS JOIN LATERAL (
               SELECT l.queue_id, l.slot, l.key, l.due_at, l.place FROM live l WHERE l.token = a.token LIMIT 1) x
    ), t AS (
        INSERT INTO turns (queue_id, slot, key, since)
        SELECT DISTINCT i.queue_id, i.slot, i.key, now_us FROM i WHERE i.key IS NOT NULL AND i.due_at IS NULL
    ), w AS (
        SELECT i.queue_id, i.slot, min(i.place) AS place FROM i
         WHERE i.due_at IS NULL OR i.due_at <= now_us + soon
         GROUP BY i.queue_id, i.slot
    )
    SELECT array_agg(w.queue_id), array_agg(w.slot), array_agg(w.place) INTO woken_queues, woken_slots, woken_places FROM w;
    PERFORM tell_wakes(woken_queues, woken_slots, woken_places, NULL);
    IF cardinality(duplicates) > 0 THEN
        -- The commit that wrote them may have been cut short while it waited for a synchronous standby: everybody sees them, and
        -- a fail-over loses them. One that has written nothing would not wait for the standby; this one does, for both.
        PERFORM pg_logical_emit_message(true, 'rota', '');
    END IF;
END
$$;
