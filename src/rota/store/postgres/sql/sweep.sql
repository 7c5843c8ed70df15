-- sweep: heal damage that no crash of ours leaves: keys without head or turn, jobs of closed workers, empty claims rows.
--
-- Takes    p_now bigint
-- Returns  one row: keys_without_head, jobs_of_closed_workers, claims_rows_dropped integer; woken_queues, woken_slots,
--          woken_places
-- Locks    what stage_keys locks; the released rows, skipping locked ones; the dropped claims rows
-- Plan     that of forgotten_keys; one scan of live for held jobs
-- Twin     store/sqlite/sql/sweep_keys.sql; tests/contract/test_house.py runs both.

CREATE FUNCTION sweep(
    p_now bigint,
    OUT keys_without_head integer, OUT jobs_of_closed_workers integer, OUT claims_rows_dropped integer,
    OUT woken_queues smallint[], OUT woken_slots smallint[], OUT woken_places bigint[]
) LANGUAGE plpgsql AS $$
DECLARE
    now_us bigint := coalesce(p_now, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint);
    key_queues smallint[];
    key_slots smallint[];
    keys text[];
    staged record;
    released record;
BEGIN
    SELECT array_agg(k.queue_id), array_agg(k.slot), array_agg(k.key) INTO key_queues, key_slots, keys FROM forgotten_keys() k;
    keys_without_head := coalesce(cardinality(keys), 0);
    SELECT * INTO staged FROM stage_keys(key_queues, key_slots, keys, array_fill(now_us, ARRAY[keys_without_head]));

    -- Those that are still in a claims row of their holder are the rescuer's: it knows whom to blame.
    WITH h AS MATERIALIZED (
        SELECT l.token
          FROM live l
          JOIN workers w ON w.id = l.holder AND w.closed_at IS NOT NULL
         WHERE l.ready AND l.holder IS NOT NULL
           AND NOT EXISTS (SELECT FROM claims c WHERE c.worker = l.holder AND l.token = ANY (c.tokens))
           FOR UPDATE OF l SKIP LOCKED
    ), u AS (
        UPDATE live l SET holder = NULL, claimed_at = NULL, ready_at = now_us
          FROM h
         WHERE l.token = ANY (ARRAY[h.token])
     RETURNING l.queue_id, l.slot, l.place, l.alone
    ), w AS (
        SELECT u.queue_id, u.slot, min(u.place) AS place FROM u WHERE NOT u.alone GROUP BY u.queue_id, u.slot
    )
    SELECT (SELECT count(*) FROM u) AS jobs, (SELECT array_agg(w.queue_id) FROM w) AS queues,
           (SELECT array_agg(w.slot) FROM w) AS slots, (SELECT array_agg(w.place) FROM w) AS places
      INTO released;
    jobs_of_closed_workers := released.jobs;

    DELETE FROM claims c
     WHERE NOT EXISTS (SELECT FROM unnest(c.tokens) t(token)
                        CROSS JOIN LATERAL (SELECT true FROM live l WHERE l.token = t.token AND l.holder = c.worker LIMIT 1) x);
    GET DIAGNOSTICS claims_rows_dropped = ROW_COUNT;

    woken_queues := staged.woken_queues || released.queues;
    woken_slots := staged.woken_slots || released.slots;
    woken_places := staged.woken_places || released.places;
    PERFORM tell_wakes(woken_queues, woken_slots, woken_places, NULL);
END
$$;
