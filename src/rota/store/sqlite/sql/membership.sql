-- membership: the ring epoch and who keeps the house.
--
-- Takes    nothing
-- Returns  one row: epoch, orchestrator (null when the place is vacant)
-- Locks    nothing
-- Plan     SEARCH h, n USING INTEGER PRIMARY KEY
-- Twin     store/postgres/sql/membership.sql; tests/contract/test_house.py runs both.

SELECT h.epoch, n.id FROM house h LEFT JOIN nodes n ON n.id = h.orchestrator AND n.closed_at IS NULL WHERE h.id = 1;
