-- head_of_key: the job whose turn it is in a key.
--
-- Takes    p_queue text · p_key text
-- Returns  uuid, or null when the key has no head
-- Locks    nothing
-- Plan     Index Scan using live_head
-- Twin     store/sqlite/sql/head_of.sql; tests/contract/test_keys.py runs both.

CREATE FUNCTION head_of_key(p_queue text, p_key text) RETURNS uuid LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (SELECT l.token FROM live l
             WHERE l.queue_id = (SELECT q.id FROM queues q WHERE q.name = p_queue) AND l.key = p_key AND l.head);
END
$$;
