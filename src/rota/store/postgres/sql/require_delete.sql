-- require_delete: refuse a caller who may not delete finished jobs: for functions that act with their owner's rights.
--
-- Takes    nothing
-- Returns  nothing; raises insufficient_privilege
-- Locks    nothing
-- Plan     the catalogue
-- Twin     none: SQLite knows no roles.

CREATE FUNCTION require_delete() RETURNS void LANGUAGE plpgsql STABLE AS $$
DECLARE
    -- Within a function of its owner's rights, current_user is the owner. What SET ROLE said stays as it was.
    caller text := CASE current_setting('role') WHEN 'none' THEN session_user::text ELSE current_setting('role') END;
BEGIN
    IF NOT has_table_privilege(caller, 'finished', 'DELETE') THEN
        RAISE EXCEPTION 'permission denied for table finished' USING ERRCODE = 'insufficient_privilege';
    END IF;
END
$$;
