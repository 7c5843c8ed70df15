-- all_claims: every claim of which something may still be held. There are a few for each worker.
--
-- Takes    nothing
-- Returns  rows: no, worker, tokens joined into one blob
-- Locks    nothing
-- Plan     SCAN claims
-- Twin     none: PostgreSQL finds what is held by an index on the holder.

SELECT no, worker, tokens FROM claims;
