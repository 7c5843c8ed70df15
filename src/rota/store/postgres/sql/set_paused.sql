-- set_paused: pause or resume a queue.
--
-- Takes    p_queue smallint · p_is_paused boolean
-- Returns  nothing
-- Locks    the queue's row
-- Plan     Index Scan using queues_pkey
-- Twin     store/sqlite/sql/set_paused.sql; tests/contract/test_house.py runs both.

CREATE FUNCTION set_paused(p_queue smallint, p_is_paused boolean) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE queues SET is_paused = p_is_paused WHERE id = p_queue;
    IF NOT p_is_paused THEN
        PERFORM pg_notify(current_schema(), '{"w":null,"a":true}');
    END IF;
END
$$;
