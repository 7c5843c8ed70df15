-- take_house: become orchestrator if the place is vacant.
--
-- Takes    ?1 node, which must be open
-- Returns  orchestrator
-- Locks    the write lock of its transaction
-- Plan     SEARCH house, nodes USING INTEGER PRIMARY KEY
-- Twin     store/postgres/sql/take_house.sql; tests/contract/test_house.py runs both.

UPDATE house
   SET orchestrator = coalesce((SELECT id FROM nodes WHERE id = orchestrator AND closed_at IS NULL), ?1)
 WHERE id = 1
RETURNING orchestrator;
