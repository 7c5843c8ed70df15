"""A fail-over: the primary is killed, its synchronous standby promoted, and a store that knows both goes on by itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest
from msgspec.structs import replace

from rota.errors import OutcomeUnknownError, StoreError
from rota.model.job import ClaimedJob, NewJob
from rota.model.slot import hash16
from rota.model.state import State
from rota.runtime.clock import SystemClock
from rota.runtime.entropy import SystemEntropy
from rota.store.port import Check
from rota.store.postgres.bounds import BOUNDS, Bounds
from rota.store.postgres.migrate import migrate
from rota.store.postgres.store import PostgresStore
from rota.submit.send import send
from rota.testing.clock import ManualClock
from tests.contract.outcomes import given_back, succeeded
from tests.contract.shop import BAKE, OVENS, CountingEntropy, Shop, Worker
from tests.postgres.house import own_server_or_skip
from tests.postgres_server import PostgresServer

pytestmark = pytest.mark.postgres

SCHEMA = "rota"
PATIENCE_S = 30
SUBMITTERS = 6


@asynccontextmanager
async def a_pair() -> AsyncIterator[tuple[PostgresServer, PostgresServer]]:
    """Start a primary and a standby of it that follows behind."""
    primary = own_server_or_skip(is_durable=False)
    try:
        standby = await asyncio.to_thread(primary.follow, "second")
        try:
            yield primary, standby
        finally:
            standby.stop()
    finally:
        primary.stop()


async def in_step(primary: PostgresServer, standby: PostgresServer) -> None:
    """Have the primary wait for its standby at every commit, from now on; return when that has done all that was before."""
    # Whether commits wait at all is seen only where they wait in vain; for whom is read by another process of the server.
    await stands_by(primary, "nobody")
    connection, other = await asyncpg.connect(primary.url), await asyncpg.connect(standby.url)
    await connection.execute("ALTER SYSTEM SET synchronous_standby_names = 'second'")
    await connection.execute("SELECT pg_reload_conf()")
    async with asyncio.timeout(PATIENCE_S):
        while await connection.fetchval("SELECT sync_state FROM pg_stat_replication") != "sync":
            await asyncio.sleep(0.005)
        written = await connection.fetchval("SELECT pg_current_wal_lsn()::text")
        while not await other.fetchval("SELECT pg_last_wal_replay_lsn() >= $1::text::pg_lsn", written):
            await asyncio.sleep(0.005)
    await connection.close()
    await other.close()


def either(primary: PostgresServer, standby: PostgresServer) -> str:
    """Return an address that names both, of which the one that can be written is meant."""
    first, second = (server.url.rpartition("@")[2].partition("/")[0] for server in (primary, standby))
    return f"postgresql://postgres@{first},{second}/postgres?target_session_attrs=read-write"


async def said(url: str, name: str) -> Check:
    """Return what the doctor says under a name about the store at this address."""
    store = await PostgresStore.open(url, schema=SCHEMA)
    try:
        (check,) = [check for check in await store.doctor() if check.name == name]
    finally:
        await store.close()
    return check


def a_job(entropy: SystemEntropy) -> NewJob:
    """Return a job that nobody has seen."""
    token = entropy.token()
    return NewJob(token, OVENS, BAKE, b"{}", hash16(None, token), is_fresh=True)


class Counter:
    """Submits one job after the other, and remembers which were accepted."""

    def __init__(self, store: PostgresStore) -> None:
        self.accepted: list[bytes] = []
        self._store = store
        self._entropy = SystemEntropy(SystemClock())
        self._is_open = True
        self._at_work = [asyncio.create_task(self._submit()) for _ in range(SUBMITTERS)]

    async def _submit(self) -> None:
        while self._is_open:
            job = a_job(self._entropy)
            while True:
                try:
                    await send(self._store, [job], asyncio.sleep)
                except StoreError:
                    await asyncio.sleep(0.02)
                else:
                    break
            self.accepted.append(job.token)

    async def grows(self, by: int = 200) -> None:
        """Return when so many more have been accepted."""
        goal = len(self.accepted) + by
        async with asyncio.timeout(PATIENCE_S):
            while len(self.accepted) < goal:
                await asyncio.sleep(0.005)

    async def close(self) -> None:
        """Stop accepting."""
        self._is_open = False
        await asyncio.gather(*self._at_work)


async def test_nothing_accepted_is_lost_in_a_fail_over() -> None:
    """P1, P2 and P4 across the death of the primary: jobs are there, fences do not repeat, claims stand, work goes on."""
    async with a_pair() as (primary, standby):
        await migrate(primary.url, schema=SCHEMA)
        assert (await said(primary.url, "fail-over")).level == "warning"
        await in_step(primary, standby)
        assert (await said(primary.url, "fail-over")).says == "P1 to P5 survive a fail-over to second"
        assert (await said(standby.url, "role")).level == "error"

        store = await PostgresStore.open(either(primary, standby), schema=SCHEMA, bounds=Bounds(reconnect_s=10.0))
        shop = Shop(store, ManualClock(), CountingEntropy(ManualClock()))
        counter = Counter(store)
        await counter.grows()
        worker = await shop.worker()
        settled = await worker.claim(20)
        await worker.settle(*map(succeeded, settled))
        kept, given = await worker.claim(20), await worker.claim(20)
        await worker.settle(*map(given_back, given))

        primary.kill()
        await asyncio.to_thread(standby.promote)
        await counter.grows()
        await counter.close()

        assert await held(store, worker) == {job.token: job.fence for job in kept}
        assert await unknown(store, counter.accepted) == []
        assert set((await store.states([job.token for job in settled])).values()) == {State.SUCCEEDED}
        again = await everything(worker)
        fences = {job.token: job.fence for job in again}
        assert all(fences[job.token] == job.fence + 1 for job in given)
        assert not fences.keys() & {job.token for job in kept}
        for jobs in (kept, again):
            assert list((await worker.settle(*map(succeeded, jobs))).stale) == []
        assert await store.finished_counts() == {State.SUCCEEDED: len(counter.accepted)}
        await store.close()


async def test_what_no_standby_has_is_not_called_accepted() -> None:
    """P1. When the wait for a standby is cut short the job is there to see, and lost with this server: to send it again must
    wait for the standby too, and not find that all is done already."""
    primary = own_server_or_skip(is_durable=False)
    try:
        await migrate(primary.url, schema=SCHEMA)
        store = await PostgresStore.open(primary.url, schema=SCHEMA)
        entropy = SystemEntropy(SystemClock())
        await store.submit([a_job(entropy)])
        await stands_by(primary, "nobody")
        job = a_job(entropy)

        store._server.bounds = Bounds(call_s=2.0)
        for attempt in (job, replace(job, is_fresh=False)):
            with pytest.raises(OutcomeUnknownError):
                await store.submit([attempt])
        store._server.bounds = BOUNDS

        assert await store.states([job.token]) == {job.token: State.WAITING}
        await stands_by(primary, "")
        assert (await store.submit([replace(job, is_fresh=False)])).duplicates == {job.token}
        await store.close()
    finally:
        primary.stop()


async def stands_by(primary: PostgresServer, names: str) -> None:
    """Name the standbys that every commit is to wait for, none of which is there; return when it does."""
    connection = await asyncpg.connect(primary.url)
    await connection.execute(f"ALTER SYSTEM SET synchronous_standby_names = '{names}'")
    await connection.execute("SELECT pg_reload_conf()")
    async with asyncio.timeout(PATIENCE_S):
        while await waits_for_standbys(primary, connection) != bool(names):
            pass
    await connection.close()


async def waits_for_standbys(primary: PostgresServer, look: asyncpg.Connection) -> bool:
    """Whether a commit that is made now waits."""
    other = await asyncpg.connect(primary.url)
    pid = other.get_server_pid()
    commit = asyncio.create_task(other.execute("SELECT pg_logical_emit_message(true, 'test', '')"))
    waits = False
    while not (commit.done() or waits):
        await asyncio.sleep(0.005)
        waits = await look.fetchval("SELECT wait_event = 'SyncRep' FROM pg_stat_activity WHERE pid = $1", pid) or False
    other.terminate()
    await asyncio.gather(commit, return_exceptions=True)
    return waits


async def held(store: PostgresStore, worker: Worker) -> dict[bytes, int]:
    """Return the fences of what a worker holds."""
    return {job.token: job.fence for job in await store.held(worker.id)}


async def unknown(store: PostgresStore, tokens: list[bytes]) -> list[bytes]:
    """Return the tokens that the store does not know."""
    known = await store.states(tokens)
    return [token for token in tokens if token not in known]


async def everything(worker: Worker) -> list[ClaimedJob]:
    """Claim until nothing is left."""
    jobs: list[ClaimedJob] = []
    while more := await worker.claim(1_000):
        jobs += more
    return jobs
