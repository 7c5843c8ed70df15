-- slot_channel: where work in one slot is told: in a large cluster to who listens to that slot, else to everybody.
--
-- Takes    p_slot smallint
-- Returns  text: the name of a channel, cut where LISTEN cuts
-- Locks    nothing
-- Plan     Index Scan using workers_name, as far as the 41st open worker
-- Twin     none: on SQLite whoever commits tells everybody; rota.store.postgres.notices.slot_channel for the listener's side.

CREATE FUNCTION slot_channel(p_slot smallint) RETURNS text LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF EXISTS (SELECT FROM workers w WHERE w.closed_at IS NULL OFFSET 40) THEN
        RETURN (current_schema() || ' slot ' || p_slot)::name;
    END IF;
    RETURN current_schema();
END
$$;
