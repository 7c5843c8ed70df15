-- stage_slots: make ready what fell due in these slots, and give the keys whose turn is noted their head.
--
-- Takes    p_queue smallint · p_slots smallint[] · p_now bigint
-- Returns  one row: woken_slots and woken_places of what became ready, skipped (slots to try again soon), next_due_at.
-- Locks    each slot that has something to stage, by try-lock to the end of the transaction; due rows, skipping locked
--          ones; what stage_keys locks. Never waits.
-- Plan     Index Scan using turns_slot and live_due, once a slot
-- Twin     store/sqlite/sql/stage_due.sql; tests/contract/test_keys.py runs both.

CREATE FUNCTION stage_slots(
    p_queue smallint, p_slots smallint[], p_now bigint,
    OUT woken_slots smallint[], OUT woken_places bigint[], OUT skipped smallint[], OUT next_due_at bigint
) LANGUAGE plpgsql AS $$
DECLARE
    batch CONSTANT integer := 2000;
    lock_class integer := hashtext(current_schema());
    mine smallint[];
    keys text[];
    key_slots smallint[];
    sinces bigint[];
    staged record;
    late smallint[];
    later bigint;
BEGIN
    WITH p AS MATERIALIZED (
        SELECT s,
               (SELECT true FROM turns t WHERE t.queue_id = p_queue AND t.slot = s LIMIT 1) AS has_turns,
               (SELECT l.due_at FROM live l WHERE l.queue_id = p_queue AND l.slot = s AND l.due_at IS NOT NULL
                 ORDER BY l.due_at LIMIT 1) AS due_at
          FROM unnest(p_slots) s
    ), g AS MATERIALIZED (
        SELECT p.s, pg_try_advisory_xact_lock(lock_class, (p_queue::integer * 1024 + p.s) % 4096) AS is_mine
          FROM p
         WHERE p.has_turns OR p.due_at <= p_now
    )
    SELECT (SELECT array_agg(g.s) FROM g WHERE g.is_mine),
           (SELECT array_agg(g.s) FROM g WHERE NOT g.is_mine),
           (SELECT min(p.due_at) FROM p WHERE p.due_at > p_now)
      INTO mine, skipped, next_due_at;
    IF mine IS NULL THEN
        RETURN;
    END IF;

    -- step: slots locked

    WITH d AS MATERIALIZED (
        SELECT x.ctid AS at, x.due_at
          FROM unnest(mine) s
         CROSS JOIN LATERAL (
               SELECT l.ctid, l.due_at
                 FROM live l
                WHERE l.queue_id = p_queue AND l.slot = s AND l.due_at <= p_now
                ORDER BY l.due_at
                LIMIT batch
                  FOR UPDATE SKIP LOCKED) x
         LIMIT batch
    ), u AS (
        -- A head that backed off is ready again; its key never lost its turn.
        UPDATE live v
           SET due_at = NULL, ready = (v.key IS NULL OR v.head), ready_at = d.due_at
          FROM d
         WHERE v.ctid = d.at
     RETURNING v.slot, v.key, v.head, v.ready, v.place, v.ready_at
    ), i AS (
        INSERT INTO turns (queue_id, slot, key, since)
        SELECT p_queue, u.slot, u.key, min(u.ready_at) FROM u WHERE u.key IS NOT NULL AND NOT u.head GROUP BY u.slot, u.key
    ), w AS (
        SELECT u.slot, min(u.place) AS place FROM u WHERE u.ready GROUP BY u.slot
    )
    SELECT array_agg(w.slot), array_agg(w.place) INTO woken_slots, woken_places FROM w;

    -- Only who holds the slot takes turns out of it.
    WITH x AS (
        DELETE FROM turns
         WHERE ctid = ANY (ARRAY(
               SELECT y.ctid
                 FROM unnest(mine) s
                CROSS JOIN LATERAL (
                      SELECT t.ctid FROM turns t WHERE t.queue_id = p_queue AND t.slot = s LIMIT batch) y
                LIMIT batch))
     RETURNING slot, key, since
    )
    SELECT array_agg(x.key), array_agg(x.slot), array_agg(x.since) INTO keys, key_slots, sinces FROM x;

    -- step: turns taken

    SELECT * INTO staged
      FROM stage_keys(array_fill(p_queue, ARRAY[coalesce(cardinality(keys), 0)]), key_slots, keys, sinces);
    woken_slots := woken_slots || staged.woken_slots;
    woken_places := woken_places || staged.woken_places;
    skipped := skipped || staged.skipped;
    IF cardinality(keys) = batch THEN
        skipped := skipped || mine;
    END IF;

    -- What was locked or beyond the batch is still due.
    SELECT array_agg(y.s) FILTER (WHERE y.due_at <= p_now), min(y.due_at) FILTER (WHERE y.due_at > p_now)
      INTO late, later
      FROM (SELECT s,
                   (SELECT l.due_at FROM live l WHERE l.queue_id = p_queue AND l.slot = s AND l.due_at IS NOT NULL
                     ORDER BY l.due_at LIMIT 1) AS due_at
              FROM unnest(mine) s) y;
    skipped := skipped || late;
    next_due_at := least(next_due_at, later);
END
$$;
