-- forget_finished: take the record of a job that is live again out of finished.
--
-- Takes    ?1 token
-- Returns  state
-- Locks    the write lock of its transaction
-- Plan     SEARCH finished USING INDEX finished_token
-- Twin     none: a part of PostgreSQL's reopen_job.sql.

DELETE FROM finished WHERE token = ?1 RETURNING state;
