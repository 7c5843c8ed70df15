-- claim_jobs: take up to p_limit ready jobs of one queue for one worker: what a crash interrupted, then what is in these slots.
--
-- Takes    p_now bigint · p_worker bigint · p_queue smallint · p_slots smallint[] · p_cursors bigint[] beside it (null: 0) ·
--          p_limit integer 1..1000 · p_tasks integer[] · p_keyed_before bigint: of keyed jobs only those ready
--          since before then (null: all) · p_stages smallint[]: of the slots, those to stage first (null: all)
-- Returns  the jobs with their new fence, by place within each claim_no; last a row that carries epoch, due_in_us, skipped,
--          is_paused, is_mixed and fronts alone. What was cut short, at 64 MiB of payloads or by others' locks, names slots
--          that have more as skipped. fronts, beside p_slots: the place of each one's first job that is left; null unless
--          priorities are mixed and the slots are many for so few jobs. Raises RO310 when the worker is closed.
-- Locks    the worker's row for key share, so that whoever closes it waits for this claim; what stage_slots locks; the
--          claimed rows, skipping locked ones.
-- Plan     Index Scan using live_interrupted, then live_ready, once a slot; then Tid Scan
-- Twin     store/sqlite/sql/claim_jobs.sql; tests/contract/test_claims.py runs both.

CREATE FUNCTION claim_jobs(
    p_now bigint, p_worker bigint, p_queue smallint, p_slots smallint[], p_cursors bigint[], p_limit integer,
    p_tasks integer[], p_keyed_before bigint, p_stages smallint[]
) RETURNS TABLE (
    seq bigint, token uuid, task_id integer, slot smallint, key text, priority smallint, payload bytea, codec smallint,
    meta bytea, fence bigint, attempts integer, crashes integer, cancel_asked boolean, expires_at bigint, claim_no bigint,
    queue_id smallint, epoch bigint, due_in_us bigint, skipped smallint[], is_paused boolean, is_mixed boolean, fronts bigint[]
) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    now_us bigint := coalesce(p_now, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint);
    the_epoch bigint;
    pauses boolean;
    staged record;
    chosen tid[];
    hits integer[];
    size bigint;
    room bigint := 64 * 1024 * 1024;
    with_more smallint[];
    wanted integer := p_limit;
    each integer;
    has_ranks boolean;
    heads bigint[];
    looks_back boolean := cardinality(p_slots) > 0;
BEGIN
    PERFORM FROM workers w WHERE w.id = p_worker AND w.closed_at IS NULL FOR KEY SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'worker % is closed', p_worker USING ERRCODE = 'RO310';
    END IF;

    -- step: worker held

    SELECT h.epoch, (SELECT q.is_paused FROM queues q WHERE q.id = p_queue) INTO the_epoch, pauses FROM house h;
    -- The lock on the worker's row makes even a look a commit. Where nothing was taken there is nothing to lose: what was
    -- staged is staged again after a crash of the server, so nobody waits for the disk.
    IF pauses THEN
        PERFORM set_config('synchronous_commit', 'off', true);
        RETURN QUERY SELECT NULL::bigint, NULL::uuid, NULL::integer, NULL::smallint, NULL::text, NULL::smallint, NULL::bytea,
            NULL::smallint, NULL::bytea, NULL::bigint, NULL::integer, NULL::integer, NULL::boolean, NULL::bigint,
            NULL::bigint, NULL::smallint, the_epoch, NULL::bigint, NULL::smallint[], true, NULL::boolean, NULL::bigint[];
        RETURN;
    END IF;

    IF p_stages IS NULL OR cardinality(p_stages) > 0 THEN
        SELECT * INTO staged FROM stage_slots(p_queue, coalesce(p_stages, p_slots), now_us);
        IF staged.woken_slots IS NOT NULL AND p_cursors IS NOT NULL THEN
            -- What has just been staged has an old number: its slot's cursor comes back to it.
            SELECT array_agg(y.s ORDER BY y.o), array_agg(y.c ORDER BY y.o) INTO p_slots, p_cursors
              FROM (SELECT x.s, min(x.c) AS c, min(x.o) AS o
                      FROM (SELECT u.s, u.c, u.o FROM unnest(p_slots, p_cursors) WITH ORDINALITY u(s, c, o)
                             UNION ALL
                            SELECT w.s, w.c, 1024 FROM unnest(staged.woken_slots, staged.woken_places) w(s, c)) x
                     GROUP BY x.s) y;
        END IF;
    ELSE
        SELECT NULL::bigint AS next_due_at, NULL::smallint[] AS skipped, NULL::smallint[] AS woken_slots INTO staged;
    END IF;

    -- Priorities must be looked at across slots; within one its places are in their order already.
    IF cardinality(p_slots) > 1 THEN
        SELECT true INTO has_ranks
          FROM live l
         WHERE l.queue_id = p_queue AND l.ready AND NOT l.alone AND l.priority <> 0 AND l.holder IS NULL
         LIMIT 1;
    END IF;
    -- First a few of each slot, so that all slots move forward; then, if hands are still free, as many as there are.
    each := CASE WHEN has_ranks THEN wanted ELSE least(wanted, greatest(8, 2 * wanted / greatest(cardinality(p_slots), 1))) END;
    LOOP
        IF looks_back THEN
            -- What was running when its worker died need not wait behind a million others for its slot's turn.
            SELECT array_agg(x.ctid), sum(x.size) INTO chosen, size
              FROM (SELECT l.ctid, octet_length(l.payload) AS size
                      FROM live l
                     WHERE l.queue_id = p_queue AND l.crashes > 0
                       AND l.ready AND NOT l.alone AND l.holder IS NULL AND l.task_id = ANY (p_tasks)
                       AND (p_keyed_before IS NULL OR l.key IS NULL OR l.ready_at < p_keyed_before)
                     ORDER BY l.place
                     LIMIT wanted
                       FOR UPDATE SKIP LOCKED) x;
            IF chosen IS NULL THEN
                looks_back := false;
                CONTINUE;
            END IF;
        ELSIF has_ranks THEN
            chosen := best_of_slots(p_queue, p_slots, p_cursors, wanted, p_tasks, p_keyed_before);
            SELECT sum(octet_length(l.payload)) INTO size FROM live l WHERE l.ctid = ANY (chosen);
        ELSE
            SELECT array_agg(x.ctid), array_agg(x.s), sum(x.size) INTO chosen, hits, size
              FROM (SELECT r.ctid, r.size, u.s
                      FROM unnest(p_slots, p_cursors) u(s, c)
                     CROSS JOIN LATERAL (
                           SELECT l.ctid, octet_length(l.payload) AS size
                             FROM live l
                            WHERE l.queue_id = p_queue AND l.slot = u.s AND l.place >= coalesce(u.c, 0)
                              AND l.ready AND NOT l.alone AND l.holder IS NULL AND l.task_id = ANY (p_tasks)
                              AND (p_keyed_before IS NULL OR l.key IS NULL OR l.ready_at < p_keyed_before)
                            ORDER BY l.place
                            LIMIT each
                              FOR UPDATE SKIP LOCKED) r
                     LIMIT wanted) x;
        END IF;
        EXIT WHEN chosen IS NULL;
        IF size > room THEN
            -- A thousand of the largest payloads would be 16 GiB: the first that fit, at least one.
            SELECT array_agg(y.ctid) INTO chosen
              FROM (SELECT l.ctid, sum(octet_length(l.payload)) OVER (ORDER BY l.place) AS so_far, octet_length(l.payload) AS own
                      FROM live l
                     WHERE l.ctid = ANY (chosen)) y
             WHERE y.so_far <= room OR y.so_far = y.own;
            with_more := p_slots;
        END IF;
        room := greatest(room - size, 0);

        -- step: rows chosen

        RETURN QUERY
        WITH c AS (
            UPDATE live l
               SET holder = p_worker, fence = l.fence + 1, claimed_at = now_us
             WHERE l.ctid = ANY (chosen) AND l.holder IS NULL
         RETURNING l.seq, l.token, l.task_id, l.slot, l.key, l.priority, l.payload, l.codec, l.meta, l.fence, l.attempts,
                   l.crashes, l.cancel_asked, l.expires_at, l.place
        ), g AS (
            INSERT INTO claims (worker, tokens) SELECT p_worker, array_agg(c.token) FROM c HAVING count(*) > 0 RETURNING no
        )
        SELECT c.seq, c.token, c.task_id, c.slot, c.key, c.priority, c.payload, c.codec, c.meta, c.fence, c.attempts,
               c.crashes, c.cancel_asked, c.expires_at, g.no, p_queue, NULL::bigint, NULL::bigint, NULL::smallint[],
               NULL::boolean, NULL::boolean, NULL::bigint[]
          FROM c CROSS JOIN g
         ORDER BY c.place;
        wanted := wanted - cardinality(chosen);
        IF looks_back THEN
            looks_back := false;
            EXIT WHEN wanted <= 0 OR with_more IS NOT NULL;
            CONTINUE;
        END IF;
        IF has_ranks AND wanted > 0 AND with_more IS NULL THEN
            -- Others have locked some of the best, and so hidden what comes behind them: those slots may have more.
            SELECT array_agg(s) INTO with_more
              FROM unnest(p_slots) s
             WHERE (SELECT true FROM live l
                     WHERE l.queue_id = p_queue AND l.slot = s AND l.ready AND NOT l.alone AND l.holder IS NULL
                       AND l.task_id = ANY (p_tasks)
                       AND (p_keyed_before IS NULL OR l.key IS NULL OR l.ready_at < p_keyed_before)
                     LIMIT 1);
            EXIT;
        END IF;
        EXIT WHEN wanted <= 0 OR each >= p_limit OR with_more IS NOT NULL;
        EXIT WHEN NOT has_ranks IS TRUE
              AND (SELECT max(n.n) FROM (SELECT count(*) AS n FROM unnest(hits) h(s) GROUP BY h.s) n) < each;
        each := p_limit;
    END LOOP;
    IF wanted = p_limit THEN
        PERFORM set_config('synchronous_commit', 'off', true);
    ELSIF has_ranks AND 4 * p_limit <= cardinality(p_slots) THEN
        -- With these the next small claim need not look everywhere again to put the best first.
        SELECT array_agg((SELECT l.place
                            FROM live l
                           WHERE l.queue_id = p_queue AND l.slot = u.s AND l.place >= coalesce(u.c, 0)
                             AND l.ready AND NOT l.alone AND l.holder IS NULL AND l.task_id = ANY (p_tasks)
                             AND (p_keyed_before IS NULL OR l.key IS NULL OR l.ready_at < p_keyed_before)
                           ORDER BY l.place
                           LIMIT 1) ORDER BY u.o) INTO heads
          FROM unnest(p_slots, p_cursors) WITH ORDINALITY u(s, c, o);
    END IF;

    -- Whoever staged something and left it (a full claim, a task that this worker does not know) tells the others.
    IF staged.woken_slots IS NOT NULL THEN
        PERFORM tell_wakes(array_agg(p_queue), array_agg(w.s), array_agg(w.p), NULL, true)
           FROM unnest(staged.woken_slots, staged.woken_places) w(s, p)
          WHERE (SELECT true FROM live l
                  WHERE l.queue_id = p_queue AND l.slot = w.s AND l.place >= w.p
                    AND l.ready AND NOT l.alone AND l.holder IS NULL
                  LIMIT 1);
    END IF;
    RETURN QUERY SELECT NULL::bigint, NULL::uuid, NULL::integer, NULL::smallint, NULL::text, NULL::smallint, NULL::bytea,
        NULL::smallint, NULL::bytea, NULL::bigint, NULL::integer, NULL::integer, NULL::boolean, NULL::bigint, NULL::bigint,
        NULL::smallint, the_epoch, staged.next_due_at - now_us, staged.skipped || with_more, false, has_ranks IS TRUE, heads;
END
$$;
