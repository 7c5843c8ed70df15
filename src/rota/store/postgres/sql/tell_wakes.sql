-- tell_wakes: tell listeners which slots have work, and those who wait which jobs were settled, when this transaction commits.
--
-- Takes    p_queues smallint[] · p_slots smallint[] · p_places bigint[] (side by side) · p_settled uuid[]; each may be null ·
--          p_staged boolean: nothing needs to be staged for these places to be claimed
-- Returns  nothing
-- Locks    the server's lock on notifications, from the start of the commit to its end
-- Plan     that of slot_channel
-- Twin     none: on SQLite wake-ups travel by datagram sockets, after the commit (store/sqlite/wake.py).

CREATE FUNCTION tell_wakes(
    p_queues smallint[], p_slots smallint[], p_places bigint[], p_settled uuid[],
    p_staged boolean DEFAULT false
) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    -- A notification holds 7,999 bytes; what does not fit is said as "look everywhere, from this place on".
    woken text := 'null';
    lowest text := '';
    staged text := CASE WHEN p_staged THEN ',"r":true' ELSE '' END;
    settled text := 'null';
    channel text := current_schema();
BEGIN
    IF p_slots IS NOT NULL THEN
        IF cardinality(p_slots) = 1 THEN
            woken := format('[[%s,%s,%s]]', p_queues[1], p_slots[1], p_places[1]);
            channel := slot_channel(p_slots[1]);
        ELSIF cardinality(p_slots) <= 120 THEN
            SELECT '[' || string_agg(format('[%s,%s,%s]', u.q, u.s, u.p), ',') || ']' INTO woken
              FROM unnest(p_queues, p_slots, p_places) u(q, s, p);
        ELSE
            lowest := ',"p":' || (SELECT min(p) FROM unnest(p_places) p);
        END IF;
        PERFORM pg_notify(channel, '{"w":' || woken || lowest || staged || '}');
    END IF;
    -- On a channel of its own, cut where LISTEN cuts: a supervisor on whose node nobody waits is not woken up by it.
    IF p_settled IS NOT NULL THEN
        IF cardinality(p_settled) <= 100 THEN
            settled := '["' || array_to_string(p_settled, '","') || '"]';
        END IF;
        PERFORM pg_notify((current_schema() || ' settled')::name, '{"s":' || settled || '}');
    END IF;
END
$$;
