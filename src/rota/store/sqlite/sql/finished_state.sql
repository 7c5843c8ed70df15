-- finished_state: how a job ended.
--
-- Takes    ?1 token
-- Returns  no row, or: state
-- Locks    nothing
-- Plan     SEARCH finished USING INDEX finished_token
-- Twin     none: PostgreSQL's functions look at it themselves.

SELECT state FROM finished WHERE token = ?1;
