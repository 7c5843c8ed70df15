-- ready_due: make due jobs ready; those with a key only if it is their turn already (a backoff that is over).
--
-- Takes    ?1 their seq, as carray · ?2 now
-- Returns  nothing
-- Locks    the write lock of its transaction
-- Plan     SEARCH live USING INTEGER PRIMARY KEY
-- Twin     none: a part of PostgreSQL's stage_slots.sql.

UPDATE live
   SET due_at = NULL, ready = head OR key IS NULL, ready_at = CASE WHEN head THEN ?2 END
 WHERE seq IN (SELECT value FROM carray(?1));
