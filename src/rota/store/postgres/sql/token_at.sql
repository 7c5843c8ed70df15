-- token_at: the lowest token of an instant, for ranges by time.
--
-- Takes    p_ms bigint: milliseconds since 1970
-- Returns  uuid: a token begins with its time
-- Locks    nothing
-- Plan     none: it is computed
-- Twin     none: on SQLite a range by time is made by its callers.

CREATE FUNCTION token_at(p_ms bigint) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
    SELECT (lpad(to_hex(greatest(p_ms, 0)), 12, '0') || repeat('0', 20))::uuid
$$;
