-- read_jobs: these jobs as their worker needs them, by seq, as one row of lists.
--
-- One row, since each row that is fetched lets go of the interpreter's lock and has to win it back.
--
-- Takes    ?1 their seq, as carray
-- Returns  JSON lists of seq, task_id, slot, key, priority, codec, meta (hexadecimal), fence, attempts, crashes, cancel_asked,
--          expires_at, queue_id, length of the payload; then the tokens and the payloads, each joined into one blob
-- Locks    nothing
-- Plan     SEARCH live USING INTEGER PRIMARY KEY
-- Twin     none: a part of PostgreSQL's claim_jobs.sql and held_jobs.sql.

SELECT json_group_array(seq), json_group_array(task_id), json_group_array(slot), json_group_array(key),
       json_group_array(priority), json_group_array(codec),
       json_group_array(CASE WHEN meta IS NOT NULL THEN hex(meta) END), json_group_array(fence), json_group_array(attempts),
       json_group_array(crashes), json_group_array(cancel_asked), json_group_array(expires_at), json_group_array(queue_id),
       json_group_array(length(payload)), CAST(group_concat(token, '') AS BLOB), CAST(group_concat(payload, '') AS BLOB)
  FROM live
 WHERE seq IN (SELECT value FROM carray(?1));
