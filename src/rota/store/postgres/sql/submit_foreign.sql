-- submit_foreign: put jobs in within a transaction of the caller's, who may go on with it for long, and who decides whether they
-- were ever there. What is wrong is said, not raised.
--
-- Takes    p_now bigint · p_skew_ms bigint · p_is_fresh boolean: their tokens were made for this call, and nobody has seen them;
--          else there is one job · what all jobs of a call have in common · arrays side by side, one entry a job
-- Returns  text: as submit_once. All are put in, in their order, or none.
-- Locks    only its own new rows: for a key it takes no lock, so that a transaction that stays open holds up nobody. With a
--          token of the caller's, what submit_once takes.
-- Plan     Insert; as submit_once
-- Twin     none: a transaction of another database cannot hold a SQLite file's. tests/postgres/test_transactional.py runs it.

CREATE FUNCTION submit_foreign(
    p_now bigint, p_skew_ms bigint, p_is_fresh boolean,
    p_queue smallint, p_task integer, p_priority smallint, p_due_at bigint, p_expires_at bigint, p_codec smallint, p_meta bytea,
    p_tokens uuid[], p_hashes integer[], p_keys text[], p_payloads bytea[]
) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    now_us bigint := coalesce(p_now, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint);
    count CONSTANT integer := cardinality(p_tokens);
    first_ms CONSTANT bigint := token_ms(p_tokens[1]);
    -- Tokens of one call rise.
    last_ms CONSTANT bigint := token_ms(p_tokens[count]);
BEGIN
    IF NOT p_is_fresh THEN
        RETURN submit_once(now_us, p_skew_ms, p_tokens[1], p_queue, p_task, p_hashes[1], p_keys[1], p_priority, p_due_at,
                           p_expires_at, p_payloads[1], p_codec, p_meta);
    END IF;
    IF greatest(abs(first_ms - now_us / 1000), abs(last_ms - now_us / 1000)) > p_skew_ms THEN
        RETURN 'skewed';
    END IF;
    IF count = 1 THEN
        PERFORM submit_job(now_us, first_ms, p_skew_ms, p_tokens[1], p_queue, p_task, p_hashes[1], p_keys[1], p_priority,
                           p_due_at, p_expires_at, p_payloads[1], p_codec, p_meta);
    ELSE
        PERFORM submit_jobs(now_us, first_ms, last_ms, p_skew_ms, p_tokens, ARRAY[p_queue], ARRAY[p_task], p_hashes, p_keys,
                            ARRAY[p_priority], array_fill(p_due_at, ARRAY[count]), array_fill(p_expires_at, ARRAY[count]),
                            p_payloads, ARRAY[p_codec], array_fill(p_meta, ARRAY[count]));
    END IF;
    RETURN 'done';
END
$$;
