-- take_room: take one job's place in a queue, for those who submit from SQL.
--
-- Takes    p_queue smallint · p_name text: the same, for people
-- Returns  nothing. Raises RO306 when the house's waiting_max would be passed.
-- Locks    nothing
-- Plan     as count_waiting, once for an eighth of the room that was found; what is left of it is kept with the session
-- Twin     none: SQLite's submits count by themselves; rota.store.postgres.room does this for programs.

CREATE FUNCTION take_room(p_queue smallint, p_name text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    sharers CONSTANT bigint := 8;
    place text := format('rota.room_%s_%s', 'live'::regclass::oid, p_queue);
    room bigint := nullif(current_setting(place, true), '')::bigint;
    most bigint;
    waiting bigint;
BEGIN
    IF room IS NULL OR room < 1 THEN
        SELECT h.waiting_max INTO most FROM house h;
        waiting := count_waiting(p_queue, most - 1);
        IF waiting >= most THEN
            RAISE EXCEPTION 'queue % holds % waiting jobs of at most %', p_name, waiting, most
            USING ERRCODE = 'RO306',
                  HINT = format('Start more workers, or raise the limit: UPDATE %I.house SET waiting_max = ….', current_schema());
        END IF;
        room := greatest((most - waiting) / sharers, 1);
    END IF;
    PERFORM set_config(place, (room - 1)::text, false);
END
$$;
