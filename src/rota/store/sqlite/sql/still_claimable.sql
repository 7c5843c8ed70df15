-- still_claimable: which of these jobs, chosen before the write lock was had, can be claimed even now.
--
-- Takes    ?1 their seq, as carray · ?2 whether suspects are wanted
-- Returns  one row: JSON lists of seq and of the payloads' sizes in bytes
-- Locks    the write lock of its transaction: what it returns stays so until the commit
-- Plan     SEARCH live USING INTEGER PRIMARY KEY
-- Twin     none: PostgreSQL locks the rows as it chooses them.

SELECT json_group_array(seq), json_group_array(length(payload))
  FROM live
 WHERE seq IN (SELECT value FROM carray(?1)) AND ready AND holder IS NULL AND alone = ?2;
