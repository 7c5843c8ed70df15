-- state_of: what the state of a job is told from.
--
-- Takes    ?1 token
-- Returns  no row, or: final state (null while it is live), is held, due_at
-- Locks    nothing
-- Plan     SEARCH live USING INDEX live_token; SEARCH finished USING INDEX finished_token
-- Twin     store/postgres/sql/job_states.sql; tests/contract/test_reading.py runs both.

SELECT NULL, holder IS NOT NULL, due_at FROM live WHERE token = ?1
 UNION ALL
SELECT state, 0, NULL FROM finished WHERE token = ?1;
