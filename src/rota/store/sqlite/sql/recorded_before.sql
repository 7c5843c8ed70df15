-- recorded_before: whether this outcome was recorded by an earlier call whose reply was lost.
--
-- Takes    ?1 token · ?2 fence · ?3 state of a final outcome, else null
-- Returns  one row: recorded before, known at all
-- Locks    the write lock of its transaction
-- Plan     SEARCH finished USING INDEX finished_token; SEARCH live USING INDEX live_token; SEARCH history USING PRIMARY KEY
-- Twin     store/postgres/sql/refuse_settles.sql; tests/contract/test_settle.py runs both.

SELECT CASE
       WHEN ?3 IS NOT NULL THEN
            EXISTS (SELECT 1 FROM finished WHERE token = ?1 AND fence = ?2 AND state = ?3)
         OR EXISTS (SELECT 1 FROM history WHERE token = ?1 AND fence = ?2 AND kind = 'reopened' AND state = ?3)
       ELSE EXISTS (SELECT 1 FROM history WHERE token = ?1 AND fence = ?2 AND kind = 'failed')
         -- A reopening yields too: what had happened under that fence before it was no snooze.
         OR ((EXISTS (SELECT 1 FROM live WHERE token = ?1 AND yielded = ?2)
              OR EXISTS (SELECT 1 FROM finished WHERE token = ?1 AND yielded = ?2))
             AND NOT EXISTS (SELECT 1 FROM history WHERE token = ?1 AND fence = ?2 AND kind = 'reopened'))
       END,
       EXISTS (SELECT 1 FROM finished WHERE token = ?1) OR EXISTS (SELECT 1 FROM live WHERE token = ?1);
