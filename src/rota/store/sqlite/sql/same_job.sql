-- same_job: what a token stands for already.
--
-- Takes    ?1 token
-- Returns  no row, or: seq (null when finished), task_id, payload, key, queue_id
-- Locks    the write lock of its transaction
-- Plan     SEARCH live USING INDEX live_token; SEARCH finished USING INDEX finished_token
-- Twin     store/postgres/sql/submit_jobs_again.sql; tests/contract/test_submit.py runs both.

SELECT seq, task_id, payload, key, queue_id FROM live WHERE token = ?1
 UNION ALL
SELECT NULL, task_id, payload, key, queue_id FROM finished WHERE token = ?1;
