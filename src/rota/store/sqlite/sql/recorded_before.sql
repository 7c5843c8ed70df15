-- recorded_before: whether this outcome was recorded by an earlier call whose reply was lost.
--
-- Takes    ?1 token · ?2 fence · ?3 kind · ?4 for how many fences the history is complete
-- Returns  one row: recorded before, known at all
-- Locks    the write lock of its transaction
-- Plan     SEARCH finished USING INDEX finished_token; SEARCH live USING INDEX live_token; SEARCH history USING PRIMARY KEY
-- Twin     store/postgres/sql/refuse_settles.sql; tests/contract/test_settle.py runs both.

SELECT CASE
       WHEN ?3 <= 3 THEN
            EXISTS (SELECT 1 FROM finished WHERE token = ?1 AND fence = ?2 AND state = ?3)
         OR EXISTS (SELECT 1 FROM history WHERE token = ?1 AND fence = ?2 AND kind = 'reopened' AND state = ?3)
       WHEN ?3 = 4 THEN
            EXISTS (SELECT 1 FROM history WHERE token = ?1 AND fence = ?2 AND kind = 'failed')
       ELSE
            -- Every other end of a run is told in the story. So a run of which nothing is told, while another one followed it, was
            -- ended by a snooze or a return.
            (EXISTS (SELECT 1 FROM live WHERE token = ?1 AND ?2 < fence AND ?2 > fence - ?4)
             OR EXISTS (SELECT 1 FROM finished WHERE token = ?1 AND ?2 < fence AND ?2 > fence - ?4))
        AND NOT EXISTS (SELECT 1 FROM history
                         WHERE token = ?1 AND fence = ?2 AND kind IN ('failed', 'crashed', 'released', 'reopened'))
            -- A run that was taken away may still yield, as long as nobody has claimed its job.
         OR (EXISTS (SELECT 1 FROM live WHERE token = ?1 AND yielded = ?2)
             OR EXISTS (SELECT 1 FROM finished WHERE token = ?1 AND yielded = ?2))
        AND NOT EXISTS (SELECT 1 FROM history WHERE token = ?1 AND fence = ?2 AND kind IN ('failed', 'reopened'))
       END,
       EXISTS (SELECT 1 FROM finished WHERE token = ?1) OR EXISTS (SELECT 1 FROM live WHERE token = ?1);
