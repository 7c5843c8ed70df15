-- find_waiting: the live row that a cancel has to decide on.
--
-- Takes    ?1 token
-- Returns  no row, or: seq, fence, holder, due_at
-- Locks    the write lock of its transaction
-- Plan     SEARCH live USING INDEX live_token
-- Twin     none: PostgreSQL's cancel_job.sql decides in one function.

SELECT seq, fence, holder, due_at FROM live WHERE token = ?1;
