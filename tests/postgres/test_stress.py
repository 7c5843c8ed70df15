"""Ten seconds of everybody at once, while backends are ended and workers die: what the stepper cannot think of."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

import asyncpg
import pytest

from rota.store.postgres.migrate import install_functions, migrate
from rota.store.postgres.server import quoted
from tests.checkers.history import Found, Started
from tests.checkers.key_order import key_order
from tests.checkers.no_job_lost import no_job_lost
from tests.checkers.one_runner import one_runner
from tests.checkers.settled_once import settled_once
from tests.postgres.crowd import Crowd
from tests.postgres.races_of_keys import NO_SLOT_LOCK
from tests.postgres.stepper import Mutant, mutated_texts
from tests.postgres_server import PostgresServer

SECONDS = float(os.environ.get("ROTA_STRESS_SECONDS", "10"))
DRAINED_WITHIN_S = 60.0
TRIPPED_WITHIN_S = 10.0
"""What has not drained by then in a store with a hole may never: the next round is worth more than the rest of the minute."""
ROUNDS_MAX = 30
"""On a machine that ten others used, 5 of 14 rounds did not trip; were it 6 of 10, it would be one test in four million."""
LONGER = (1, 2, 4)
"""How much longer a round is after none, one, two in which a busy machine kept the crowd from meeting."""
TEST_S_MAX = sum(LONGER) * SECONDS + len(LONGER) * DRAINED_WITHIN_S + 60
SUBMITTERS, WORKERS = 3, 4
END_OF_STAGE = "        woken_queues := staged.woken_queues;\n"
UNLUCKY = replace(
    NO_SLOT_LOCK,
    edits=(*NO_SLOT_LOCK.edits, ("settle_jobs", END_OF_STAGE, f"{END_OF_STAGE}        PERFORM pg_sleep(0.1);\n")),
)
"""A slot that nobody locks, and a settle that is held up for a moment before its commit, as on a busy server."""
MANY_KEYS = 400
"""So many that most have one job: a forgotten key with more in its line is remembered when the next of them ends."""
CHECKS = (key_order, one_runner, settled_once, no_job_lost)
WHAT_A_CROWD_DOES = (
    "single submits", "submits in batches", "submits that shared commits", "submits in long transactions", "starts", "settles",
    "cancels", "closes", "jobs released", "backends ended", "workers killed", "looks",
)  # fmt: skip

_FORGOTTEN = """
SELECT count(*)
  FROM (SELECT DISTINCT queue_id, slot, key FROM live WHERE NOT head AND key IS NOT NULL AND due_at IS NULL) k
 WHERE NOT EXISTS (SELECT FROM live h WHERE h.queue_id = k.queue_id AND h.key = k.key AND h.head)
   AND NOT EXISTS (SELECT FROM turns t WHERE t.queue_id = k.queue_id AND t.slot = k.slot AND t.key = k.key)
"""

_SECOND_HEADS = """
SELECT count(*) FROM (SELECT FROM live WHERE head AND key IS NOT NULL GROUP BY queue_id, key HAVING count(*) > 1) k
"""

_STATES = """
SELECT token::text, 'waiting' AS state, fence FROM live
 UNION ALL
SELECT token::text, (ARRAY['succeeded', 'failed', 'cancelled', 'expired'])[state + 1], fence FROM finished
"""

pytestmark = [pytest.mark.postgres, pytest.mark.slow(seconds=12), pytest.mark.timeout(TEST_S_MAX)]


class Looker:
    """Looks, in one snapshot after another, for keys with a due job and neither a head nor a turn, and for second heads."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection
        self.looks = 0
        self.forgotten = 0
        self.second_heads = 0
        self.live = -1

    async def looks_on(self) -> None:
        """Look until cancelled."""
        while True:
            self.forgotten += await self._connection.fetchval(_FORGOTTEN)
            self.second_heads += await self._connection.fetchval(_SECOND_HEADS)
            self.live = await self._connection.fetchval("SELECT count(*) FROM live")
            self.looks += 1
            await asyncio.sleep(0.05)

    async def leaves(self) -> None:
        """Close its connection."""
        await self._connection.close()

    async def waits_until_drained(self, within_s: float) -> None:
        """Wait until no live job is left; nobody sweeps. Once a key is seen that will never move again there is no need to."""
        # The look that is under way may have counted before the last job was submitted.
        enough = self.looks + 2
        async with asyncio.timeout(within_s):
            while (self.looks < enough or self.live != 0) and not self.forgotten:
                await asyncio.sleep(0.05)


@dataclass(frozen=True)
class Round:
    """What became of a round.

    Attributes:
        broken: What was wrong.
        missing: What nobody did, though it went on to its end: there was no crowd, and that nothing broke proves nothing.
    """

    broken: list[str]
    missing: list[str]


async def test_nothing_breaks_in_a_crowd(server: PostgresServer) -> None:
    """Order, overlaps, second heads, deadlocks, forgotten keys, lost jobs: none of each."""
    for longer in LONGER:
        played = await play(server, SECONDS * longer)
        assert played.broken == []
        if not played.missing:
            return

    raise AssertionError(f"there was no crowd: {played.missing}")


@pytest.mark.timeout(ROUNDS_MAX * 30)
async def test_the_crowd_sees_a_missing_guard(server: PostgresServer) -> None:
    """It is chance what a crowd does; given some rounds (it takes one or two) it must trip over a slot that nobody locks."""
    unmet = 0
    for _ in range(ROUNDS_MAX):
        played = await play(server, 5 * LONGER[min(unmet, len(LONGER) - 1)], UNLUCKY, MANY_KEYS)
        unmet += bool(played.missing)
        # Slow is not broken.
        if not played.missing and any("TimeoutError" not in says for says in played.broken):
            return

    raise AssertionError(f"nothing broke, although slots were staged without their lock; {unmet} rounds had no crowd")


async def play(server: PostgresServer, seconds: float, mutant: Mutant | None = None, keys: int = 30) -> Round:
    """Let the crowd in for so many seconds, wait until all is done, and return what was wrong and what was missing."""
    schema = server.fresh_schema()
    await migrate(server.url, schema=schema)
    connection = await _connect(server.url, schema)
    if mutant is not None:
        await install_functions(connection, schema, mutated_texts(mutant))
    deadlocks = await _deadlocks(connection)
    seed = time.time_ns() % 1_000_000
    crowd, looker = Crowd(server.url, schema, seed, keys), Looker(await _connect(server.url, schema))
    try:
        await _play(crowd, looker, seconds, DRAINED_WITHIN_S if mutant is None else TRIPPED_WITHIN_S)
    except ExceptionGroup as problems:
        await connection.close()
        return Round([repr(problem) for problem in problems.exceptions], [])
    finally:
        await crowd.leave()
        await looker.leaves()
    for token, state, fence in await connection.fetch(_STATES):
        crowd.history.append(Found(at=time.monotonic_ns(), token=token, state=state, fence=fence))
    broken = {check.__name__: [each.says for each in check(crowd.history)] for check in CHECKS}
    wrong = {
        **{name: len(says) for name, says in broken.items()},
        "second heads": looker.second_heads,
        "keys without head and turn": looker.forgotten,
        "deadlocks": await _deadlocks(connection) - deadlocks,
    }
    await connection.close()

    crowd.did["starts"] = sum(isinstance(event, Started) for event in crowd.history)
    crowd.did["looks"] = looker.looks
    print(f"\nseed {seed}, {seconds:g} s: {_told(crowd.did)}. Broken: {_told(wrong)}. Drained without a sweep.")
    said = [says for each in broken.values() for says in each]
    said += [f"{count} {what}" for what, count in wrong.items() if count and what not in broken]
    return Round(said, [what for what in WHAT_A_CROWD_DOES if not crowd.did[what]])


def _told(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{what} {count:,}" for what, count in counts.items())


async def _play(crowd: Crowd, looker: Looker, seconds: float, drained_within_s: float) -> None:
    await crowd.opens()
    async with asyncio.TaskGroup() as forever:
        tasks = [forever.create_task(crowd.works()) for _ in range(WORKERS)]
        tasks.append(forever.create_task(looker.looks_on()))
        async with asyncio.TaskGroup() as for_now:
            for _ in range(SUBMITTERS):
                for_now.create_task(crowd.submits())
            for_now.create_task(crowd.cancels())
            for_now.create_task(crowd.ends_backends())
            for_now.create_task(crowd.kills())
            await asyncio.sleep(seconds)
            crowd.is_open = False
        await looker.waits_until_drained(drained_within_s)
        for task in tasks:
            task.cancel()


async def _connect(url: str, schema: str) -> asyncpg.Connection:
    connection = await asyncpg.connect(url)
    await connection.execute(f"SET search_path = {quoted(schema)}")
    return connection


async def _deadlocks(connection: asyncpg.Connection) -> int:
    await connection.execute("SELECT pg_stat_clear_snapshot()")
    return int(await connection.fetchval("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"))
