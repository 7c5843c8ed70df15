-- submit_from_sql: what stands behind the public function submit of the first migration, which never changes.
--
-- Takes    p_now bigint · what submit takes: task, arguments, key, queue, delay, at, priority, expires, token; docs/transactions.md
-- Returns  uuid: the job's token. Raises RO… (the codes of rota.errors) with what is wrong, and a hint.
-- Locks    as submit_once
-- Plan     Index Scan using tasks_name_key and queues_name_key; as submit_once and count_waiting
-- Twin     none: in SQLite there is nobody but us. tests/postgres/test_transactional_sql.py runs it.

CREATE FUNCTION submit_from_sql(
    p_now bigint, p_task text, p_arguments jsonb, p_key text, p_queue text, p_delay interval, p_at timestamptz,
    p_priority integer, p_expires timestamptz, p_token uuid
) RETURNS uuid LANGUAGE plpgsql AS $$
DECLARE
    now_us bigint := coalesce(p_now, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint);
    now_at timestamptz := to_timestamp(now_us / 1000000.0);
    skew_ms CONSTANT bigint := 86400000;
    version CONSTANT bigint := 7 << 12;
    farthest CONSTANT timestamptz := now_at + interval '3660 days';
    due timestamptz := coalesce(p_at, now_at + p_delay);
    payload bytea := convert_to(p_arguments::text, 'UTF8');
    payload_max CONSTANT integer := (SELECT h.payload_bytes_max FROM house h);
    the_task integer;
    the_queue smallint;
    fresh uuid;
    verdict text;
BEGIN
    SELECT t.id INTO the_task FROM tasks t WHERE t.name = p_task;
    SELECT q.id INTO the_queue FROM queues q WHERE q.name = p_queue;
    IF the_task IS NULL OR the_queue IS NULL THEN
        RAISE EXCEPTION '% is not known in this store', CASE WHEN the_task IS NULL THEN format('task %L', p_task)
                                                             ELSE format('queue %L', p_queue) END
        USING ERRCODE = 'RO102',
              HINT = format('Known is what a worker has been started for, or a program has submitted. To make it known beforehand, '
                            'in a transaction of its own: SELECT %I.intern_names(ARRAY[%L], ARRAY[%L]).',
                            current_schema(), p_queue, p_task);
    END IF;
    IF jsonb_typeof(p_arguments) IS DISTINCT FROM 'object' THEN
        RAISE EXCEPTION 'the arguments of task % are %', p_task, coalesce('a JSON ' || jsonb_typeof(p_arguments), 'null')
        USING ERRCODE = 'RO103', HINT = 'Give one JSON object with the arguments by name.';
    ELSIF p_key = '' THEN
        RAISE EXCEPTION 'task %: the key is empty', p_task
        USING ERRCODE = 'RO103', HINT = 'That is most often a value that is missing. Give null for a job on its own.';
    ELSIF octet_length(payload) > payload_max THEN
        RAISE EXCEPTION 'task %: the arguments are % bytes of JSON, more than %', p_task, octet_length(payload), payload_max
        USING ERRCODE = 'RO104', HINT = format('Put large things into a table, and their id into the job. Or raise the limit, up to '
                                               '16 MiB: UPDATE %I.house SET payload_bytes_max = ….', current_schema());
    ELSIF octet_length(convert_to(p_key, 'UTF8')) > 512 THEN
        RAISE EXCEPTION 'task %: the key has % bytes, more than 512', p_task, octet_length(convert_to(p_key, 'UTF8'))
        USING ERRCODE = 'RO104', HINT = 'Use an id, or a hash of the long text.';
    ELSIF p_priority NOT BETWEEN -100 AND 100 THEN
        RAISE EXCEPTION 'task %: priority % is outside of -100 to 100', p_task, p_priority USING ERRCODE = 'RO104';
    ELSIF p_delay IS NOT NULL AND p_at IS NOT NULL THEN
        RAISE EXCEPTION 'task %: delay and at both say when the job may run', p_task
        USING ERRCODE = 'RO100', HINT = 'Give one of them.';
    ELSIF p_delay < interval '0' OR greatest(due, p_expires) > farthest THEN
        RAISE EXCEPTION 'task %: delay, at and expires lie between now and 3660 days from now', p_task USING ERRCODE = 'RO104';
    ELSIF substr(p_token::text, 15, 1) <> '7' OR substr(p_token::text, 20, 1) NOT IN ('8', '9', 'a', 'b') THEN
        RAISE EXCEPTION 'token % is no UUID of version 7', p_token
        USING ERRCODE = 'RO105', HINT = 'Leave it out: then one is made.';
    END IF;
    PERFORM take_room(the_queue, p_queue);

    -- A UUIDv7 whose twelve bits after the time are the fraction of its millisecond: one session's tokens rise.
    fresh := encode(overlay(uuid_send(gen_random_uuid()) PLACING
                            int8send((now_us / 1000 << 16) | version | (now_us % 1000 * 4096 / 1000)) FROM 1 FOR 8), 'hex')::uuid;
    verdict := submit_foreign(
        now_us, skew_ms, p_token IS NULL, the_queue, the_task, coalesce(p_priority, 0)::smallint,
        CASE WHEN due > now_at THEN (extract(epoch FROM due) * 1000000)::bigint END,
        CASE WHEN p_expires = '-infinity' THEN 0 ELSE (extract(epoch FROM p_expires) * 1000000)::bigint END,
        1::smallint, NULL, ARRAY[coalesce(p_token, fresh)],
        ARRAY[hash16(coalesce(convert_to(p_key, 'UTF8'), uuid_send(coalesce(p_token, fresh))))], ARRAY[p_key], ARRAY[payload]);
    IF verdict = 'reused' THEN
        RAISE EXCEPTION 'token % has another task, payload or key', p_token
        USING ERRCODE = 'RO106', HINT = 'One token stands for one job. JSON that was written elsewhere is another payload.';
    ELSIF verdict = 'skewed' THEN
        RAISE EXCEPTION 'token % is off by more than a day', p_token
        USING ERRCODE = 'RO105', HINT = 'A token is made when its job is submitted. Look at the clock that made it.';
    ELSIF verdict = 'snapshot' THEN
        RAISE EXCEPTION 'a job with a token of your own cannot be submitted in a % transaction',
                        current_setting('transaction_isolation')
        USING ERRCODE = 'RO108', HINT = 'In its snapshot nobody sees whether that job was finished meanwhile. Leave the token '
                                        'out, or use READ COMMITTED.';
    END IF;
    RETURN coalesce(p_token, fresh);
END
$$;
