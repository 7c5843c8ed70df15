-- settle_jobs: record what runs came to, each only if its fence still stands. Safe to call again.
--
-- Takes    p_now bigint · p_worker bigint · arrays side by side, sorted by token: p_tokens uuid[], p_fences bigint[], p_kinds
--          smallint[] (none: all succeeded), p_results, p_failures bytea[], p_due_ats, p_started_ats bigint[] · p_claims
--          bigint[]: claims rows all of whose jobs are settled
-- Returns  one row: stale_tokens, stale_fences, woken_queues, woken_slots, woken_places, skipped
-- Locks    the settled rows, in the order of their tokens; then what stage_keys locks. Waits only for somebody who has one of
--          these very rows (a cancel, a release), never for anything of a key.
-- Plan     Index Scan using live_pkey, once an outcome
-- Twin     store/sqlite/sql/finish_job.sql; tests/contract/test_settle.py runs both.

CREATE FUNCTION settle_jobs(
    p_now bigint, p_worker bigint, p_tokens uuid[], p_fences bigint[], p_kinds smallint[], p_results bytea[],
    p_failures bytea[], p_due_ats bigint[], p_started_ats bigint[], p_claims bigint[],
    OUT stale_tokens uuid[], OUT stale_fences bigint[],
    OUT woken_queues smallint[], OUT woken_slots smallint[], OUT woken_places bigint[], OUT skipped smallint[]
) LANGUAGE plpgsql AS $$
DECLARE
    now_us bigint := coalesce(p_now, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint);
    settled uuid[];
    key_queues smallint[];
    key_slots smallint[];
    keys text[];
    recorded_count integer;
    kept record;
    staged record;
BEGIN
    -- An array of one on the right: a plain equality could be turned round into a scan of the whole table.
    WITH u AS MATERIALIZED (
        SELECT u.token, u.fence, coalesce(u.kind, 0) AS kind, u.result, u.failure, u.started_at
          FROM unnest(p_tokens, p_fences, p_kinds, p_results, p_failures, p_started_ats)
               u(token, fence, kind, result, failure, started_at)
         WHERE coalesce(u.kind, 0) <= 3
    ), d AS (
        DELETE FROM live l
         USING u
         WHERE l.token = ANY (ARRAY[u.token]) AND l.fence = u.fence AND l.recorded < u.fence
     RETURNING l.token, l.seq, l.submitted_at, u.started_at, l.expires_at, l.fence, l.recorded, l.task_id, l.hash16,
               l.attempts, l.queue_id, l.slot, l.priority, l.codec, u.kind, l.cancel_asked, l.key, l.payload, l.meta,
               u.result, u.failure, l.head
    ), f AS (
        INSERT INTO finished (token, seq, submitted_at, started_at, settled_at, expires_at, fence, recorded, worker, task_id,
                              hash16, attempts, crashes, queue_id, priority, codec, state, cancel_asked, key, payload, meta,
                              result, failure)
        SELECT d.token, d.seq, d.submitted_at, d.started_at, now_us, d.expires_at, d.fence, d.recorded, p_worker, d.task_id,
               d.hash16, d.attempts + (d.kind <= 1 OR d.started_at IS NOT NULL)::integer, 0, d.queue_id, d.priority, d.codec,
               d.kind, d.cancel_asked, d.key, d.payload, d.meta, d.result, d.failure
          FROM d
    )
    SELECT count(*), array_agg(d.token), array_agg(d.queue_id) FILTER (WHERE d.head),
           array_agg(d.slot) FILTER (WHERE d.head), array_agg(d.key) FILTER (WHERE d.head)
      INTO recorded_count, settled, key_queues, key_slots, keys
      FROM d;

    IF cardinality(p_kinds) > 0 THEN
        SELECT * INTO kept
          FROM keep_jobs(now_us, p_worker, p_tokens, p_fences, p_kinds, p_failures, p_due_ats, p_started_ats);
        recorded_count := recorded_count + kept.kept_count;
    END IF;
    DELETE FROM claims WHERE worker = p_worker AND no = ANY (p_claims);

    -- step: recorded

    IF recorded_count < cardinality(p_tokens) THEN
        SELECT r.stale_tokens, r.stale_fences INTO stale_tokens, stale_fences
          FROM refuse_settles(now_us, p_worker, p_tokens, p_fences, p_kinds, p_failures, p_started_ats) r;
    END IF;

    -- A statement of its own, with a snapshot of its own: in the statement that removes the head, the key would still have
    -- one and nobody would be promoted.
    IF keys IS NOT NULL THEN
        SELECT * INTO staged FROM stage_keys(key_queues, key_slots, keys, array_fill(now_us, ARRAY[cardinality(keys)]));
        woken_queues := staged.woken_queues;
        woken_slots := staged.woken_slots;
        woken_places := staged.woken_places;
        skipped := staged.skipped;
    END IF;
    IF cardinality(p_kinds) > 0 THEN
        woken_queues := woken_queues || kept.woken_queues;
        woken_slots := woken_slots || kept.woken_slots;
        woken_places := woken_places || kept.woken_places;
    END IF;
    PERFORM tell_wakes(woken_queues, woken_slots, woken_places, settled, skipped IS NULL);
END
$$;
