"""Ten seconds of everybody at once, while backends are ended and workers die: what the stepper cannot think of."""

from __future__ import annotations

import asyncio
import os
import time

import asyncpg
import pytest

from rota.store.postgres.migrate import migrate
from rota.store.postgres.server import quoted
from tests.checkers.history import Found, Started
from tests.checkers.key_order import key_order
from tests.checkers.no_job_lost import no_job_lost
from tests.checkers.one_runner import one_runner
from tests.checkers.settled_once import settled_once
from tests.postgres.crowd import Crowd
from tests.postgres_server import PostgresServer

SECONDS = float(os.environ.get("ROTA_STRESS_SECONDS", "10"))
DRAINED_WITHIN_S = 60.0
SUBMITTERS, WORKERS = 3, 4

_FORGOTTEN = """
SELECT count(*)
  FROM (SELECT DISTINCT queue_id, slot, key FROM live WHERE NOT head AND key IS NOT NULL AND due_at IS NULL) k
 WHERE NOT EXISTS (SELECT FROM live h WHERE h.queue_id = k.queue_id AND h.key = k.key AND h.head)
   AND NOT EXISTS (SELECT FROM turns t WHERE t.queue_id = k.queue_id AND t.slot = k.slot AND t.key = k.key)
"""

_STATES = """
SELECT token::text, 'waiting' AS state, fence FROM live
 UNION ALL
SELECT token::text, (ARRAY['succeeded', 'failed', 'cancelled', 'expired'])[state + 1], fence FROM finished
"""

pytestmark = [pytest.mark.postgres, pytest.mark.slow, pytest.mark.timeout(SECONDS + DRAINED_WITHIN_S + 60)]


class Looker:
    """Looks, in one snapshot after another, for keys that have a due job and neither a head nor a turn."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection
        self.looks = 0
        self.forgotten = 0

    async def looks_on(self) -> None:
        """Look until cancelled."""
        while True:
            self.forgotten += await self._connection.fetchval(_FORGOTTEN)
            self.looks += 1
            await asyncio.sleep(0.05)

    async def leaves(self) -> None:
        """Close its connection."""
        await self._connection.close()

    async def waits_until_drained(self, workers: list[asyncio.Task[None]]) -> None:
        """Wait until no live job is left; nobody sweeps."""
        async with asyncio.timeout(DRAINED_WITHIN_S):
            while await self._connection.fetchval("SELECT count(*) FROM live"):
                for worker in workers:
                    if worker.done():
                        worker.result()
                await asyncio.sleep(0.05)


async def test_nothing_breaks_in_a_crowd(server: PostgresServer, request: pytest.FixtureRequest) -> None:
    """Order, overlaps, second heads, deadlocks, forgotten keys, lost jobs: none of each."""
    schema = server.fresh_schema()
    await migrate(server.url, schema=schema)
    connection = await asyncpg.connect(server.url)
    await connection.execute(f"SET search_path = {quoted(schema)}")
    deadlocks = await _deadlocks(connection)
    seed = time.time_ns() % 1_000_000
    crowd, looker = Crowd(server.url, schema, seed), Looker(await _another(server.url, schema))
    await crowd.opens()

    workers = [asyncio.create_task(crowd.works()) for _ in range(WORKERS)]
    looking = asyncio.create_task(looker.looks_on())
    async with asyncio.TaskGroup() as group:
        for _ in range(SUBMITTERS):
            group.create_task(crowd.submits())
        group.create_task(crowd.cancels())
        group.create_task(crowd.ends_backends())
        group.create_task(crowd.kills())
        await asyncio.sleep(SECONDS)
        crowd.is_open = False
    looking.cancel()
    await asyncio.gather(looking, return_exceptions=True)
    await looker.waits_until_drained(workers)
    for worker in workers:
        worker.cancel()
    await asyncio.gather(*workers, return_exceptions=True)
    await crowd.leave()
    await looker.leaves()

    for token, state, fence in await connection.fetch(_STATES):
        crowd.history.append(Found(at=time.monotonic_ns(), token=token, state=state, fence=fence))
    new_deadlocks = await _deadlocks(connection) - deadlocks
    await connection.close()
    starts = sum(isinstance(event, Started) for event in crowd.history)
    print(
        f"\nseed {seed}: {starts:,} starts, {crowd.backends_ended} backends ended, "
        f"{crowd.workers_killed} workers killed, {looker.looks} looks for forgotten keys, "
        f"{looker.forgotten} found, {new_deadlocks} deadlocks"
    )
    assert starts > 100
    assert crowd.backends_ended > 10
    assert looker.looks > 10
    assert (looker.forgotten, new_deadlocks) == (0, 0)
    for check in (key_order, one_runner, settled_once, no_job_lost):
        assert check(crowd.history) == []


async def _another(url: str, schema: str) -> asyncpg.Connection:
    connection = await asyncpg.connect(url)
    await connection.execute(f"SET search_path = {quoted(schema)}")
    return connection


async def _deadlocks(connection: asyncpg.Connection) -> int:
    await connection.execute("SELECT pg_stat_clear_snapshot()")
    return int(await connection.fetchval("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"))
