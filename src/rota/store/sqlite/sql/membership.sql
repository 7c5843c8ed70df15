-- membership: the ring epoch and who keeps the house.
--
-- Takes    nothing
-- Returns  one row: epoch, orchestrator (null when the place is vacant)
-- Locks    nothing
-- Plan     SCAN house (one row); SEARCH o USING INTEGER PRIMARY KEY
-- Twin     store/postgres/sql/membership.sql; tests/contract/test_house.py runs both.

SELECT house.epoch, o.id FROM house LEFT JOIN nodes o ON o.id = house.orchestrator AND o.closed_at IS NULL WHERE house.id = 1;
