-- token_ms: the time with which a token begins, the reverse of token_at.
--
-- Takes    p_token uuid
-- Returns  bigint: milliseconds since 1970
-- Locks    nothing
-- Plan     none: it is computed
-- Twin     none: rota.model.token.token_ms does it where a token is bytes.

CREATE FUNCTION token_ms(p_token uuid) RETURNS bigint LANGUAGE sql IMMUTABLE STRICT AS $$
    SELECT ('x' || left(replace(p_token::text, '-', ''), 12))::bit(48)::bigint
$$;
