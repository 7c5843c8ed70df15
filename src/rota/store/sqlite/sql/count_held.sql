-- count_held: how many of these jobs a worker holds.
--
-- Takes    ?1 tokens, as carray · ?2 worker
-- Returns  one row: count
-- Locks    nothing
-- Plan     SEARCH live USING INDEX live_token
-- Twin     none: a part of PostgreSQL's sweep.sql.

SELECT count(*) FROM live WHERE token IN (SELECT value FROM carray(?1)) AND holder = ?2;
