-- new_heads: which of the jobs with these consecutive numbers are heads.
--
-- Takes    ?1 first seq · ?2 last seq
-- Returns  one row: a JSON list of seq
-- Locks    the write lock of its transaction
-- Plan     SEARCH live USING INTEGER PRIMARY KEY
-- Twin     none: on PostgreSQL a submit makes no heads; stage does.

SELECT json_group_array(seq) FROM live WHERE seq BETWEEN ?1 AND ?2 AND head;
