-- place_of: a job's place in its slot's line as one number, lower first, whatever the priorities.
--
-- Takes    p_priority smallint · p_seq bigint
-- Returns  bigint
-- Locks    nothing
-- Plan     none: it is computed
-- Twin     none: rota.model.slot.place_of does it elsewhere; tests/postgres/test_engine.py holds every way in to both.

CREATE FUNCTION place_of(p_priority smallint, p_seq bigint) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
    SELECT ((100 - p_priority)::bigint << 52) | p_seq
$$;
