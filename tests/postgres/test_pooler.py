"""Through PgBouncer in transaction mode: no LISTEN, no settings, no prepared statement that lasts; everything works by looking.

The contract suite behind it is `make test-pooler`. Here is what could go wrong only there: many clients on few back ends, and
what nobody tells.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from rota.store.port import Wake
from rota.store.postgres.bounds import BOUNDS, Bounds
from rota.store.postgres.migrate import migrate
from rota.store.postgres.store import PostgresStore
from rota.testing.clock import ManualClock
from scripts.postgres_server import run_apart
from tests.contract.outcomes import succeeded
from tests.contract.shop import CountingEntropy, Shop
from tests.integration.postgres_cluster import PostgresCluster
from tests.pgbouncer import pgbouncer_before, pgbouncer_or_skip
from tests.postgres_server import PostgresServer, server_or_skip
from tests.unit.node.waiting import until

BACKENDS, CLIENTS, ROUNDS = 3, 12, 10
ENTROPY = CountingEntropy(ManualClock())
"""Tokens that differ from test to test: they share a schema."""
PATIENCE_S = 20.0

pytestmark = pytest.mark.postgres


@pytest.fixture(scope="module")
def pooled() -> Iterator[str]:
    """The address of the shared server through a pooler that refuses what it does not know."""
    pgbouncer_or_skip()
    with pgbouncer_before(server_or_skip().url, servers_max=BACKENDS) as url:
        yield url


@pytest.fixture(scope="module")
def schema(pooled: str) -> str:
    """A schema that was made through the pooler."""
    name = server_or_skip().fresh_schema()

    async def make() -> None:
        assert await migrate(pooled, schema=name)
        assert await migrate(pooled, schema=name) == []

    run_apart(make())
    return name


async def test_a_pooler_is_found_out(pooled: str, schema: str, server: PostgresServer) -> None:
    """By what it refuses, or by the process number that is not the server's; or somebody says so."""
    settings = ",".join(BOUNDS.at_the_server())
    with pgbouncer_before(server.url, ignored=settings) as polite:
        addresses = {
            pooled: True,
            polite: True,
            server.url: False,
            f"{server.url}?pooler=transaction": True,
            f"{polite}?pooler=none": False,
        }
        for address, is_pooled in addresses.items():
            store = await PostgresStore.open(address, schema=schema)
            assert store._server.is_pooled is is_pooled, address
            await store.close()


async def test_many_clients_share_few_backends(pooled: str, schema: str, clock: ManualClock) -> None:
    """Each call may be carried out by another back end, which has just served somebody else."""
    stores = [await PostgresStore.open(pooled, clock=clock, schema=schema) for _ in range(CLIENTS)]
    shops = [Shop(store, clock, ENTROPY) for store in stores]
    node = await shops[0].node()
    done: list[bytes] = []
    submitted: list[bytes] = []

    async def works(number: int, shop: Shop) -> None:
        worker = await shop.worker(f"mitte/{number}", node_id=node.id)
        for turn in range(ROUNDS):
            jobs = [shop.job(f"key {(number + turn) % 5}"), shop.job(), shop.job(delay=3_600)]
            submitted.extend(await shop.submit(*jobs))
            assert len(await shop.store.states([job.token for job in jobs])) == 3
            assert (await shop.store.cancel(jobs[2].token)).was is not None
            submitted.remove(jobs[2].token)
            claimed = await worker.claim(5)
            assert not (await worker.settle(*map(succeeded, claimed))).stale
            done.extend(job.token for job in claimed)

    await asyncio.gather(*(works(number, shop) for number, shop in enumerate(shops)))
    last = await shops[0].worker("mitte/last", node_id=node.id)
    async with asyncio.timeout(PATIENCE_S):
        while set(submitted) - set(done):
            claimed = await last.claim(100)
            await last.settle(*map(succeeded, claimed))
            done.extend(job.token for job in claimed)
    for store in stores:
        await store.close()

    assert sorted(done) == sorted(submitted)


async def test_a_cancellation_is_found_by_looking(pooled: str, schema: str, clock: ManualClock) -> None:
    """Nobody is told of it, and the worker's own look comes once in a lease."""
    store = await PostgresStore.open(pooled, clock=clock, schema=schema)
    shop = Shop(store, clock, ENTROPY)
    token = await shop.submit_one(shop.job("cancelled", slot=7))
    worker = await shop.worker()
    async with asyncio.timeout(PATIENCE_S):
        while not [job for job in await worker.claim(100) if job.token == token]:
            pass
    heard: list[Wake] = []
    stop = store.listen(f"worker-{worker.id}", heard.append)

    await store.cancel(token)

    async with asyncio.timeout(PATIENCE_S):
        while not any(token in wake.cancels for wake in heard):
            await asyncio.sleep(0.01)
    stop()
    await store.close()


async def test_the_doctor_says_what_a_pooler_costs(pooled: str, schema: str, server: PostgresServer) -> None:
    """And what must be set for its sessions, since it lets nobody set it for oneself; done as told, it is content."""
    look = await asyncpg.connect(server.url)
    await look.execute("CREATE ROLE cook LOGIN SUPERUSER")
    with pgbouncer_before(server.url.replace("postgres@", "cook@"), servers_max=1) as url:
        store = await PostgresStore.open(url, schema=schema)
        checks = {check.name: check for check in await store.doctor()}
        await store.close()
    await look.execute(checks["pooler bounds"].advice)
    with pgbouncer_before(server.url.replace("postgres@", "cook@"), servers_max=1) as url:
        store = await PostgresStore.open(url, schema=schema)
        names = [check.name for check in await store.doctor()]
        await store.close()
    await look.execute("DROP ROLE cook")
    await look.close()

    assert "within about a second" in checks["pooler"].says
    assert checks["pooler bounds"].level == "warning"
    assert "pooler" in names
    assert "pooler bounds" not in names


async def test_who_only_waits_for_results_does_not_look_for_cancellations(
    pooled: str, schema: str, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hundred web processes would ask the server a hundred times a second what concerns none of them."""
    store = await PostgresStore.open(pooled, clock=clock, schema=schema, bounds=Bounds(poll_s=0.001))
    asked: list[str] = []
    call = store._server.call

    async def counted(function: str, *arguments: Any, writes: bool = True) -> Any:
        asked.append(function)
        return await call(function, *arguments, writes=writes)

    monkeypatch.setattr(store._server, "call", counted)
    stop_waiting = store.listen("wait-1", lambda _: None)
    for _ in range(10):
        await store.states([])
    before = asked.count("list_cancels")
    stop_working = store.listen("worker-1", lambda _: None)
    async with asyncio.timeout(PATIENCE_S):
        while asked.count("list_cancels") < 3:
            await asyncio.sleep(0.001)

    assert before == 0
    stop_waiting()
    stop_working()
    await store.close()


@pytest.mark.slow(seconds=5)
@pytest.mark.timed
def test_a_node_works_behind_a_pooler(pooled: str, server: PostgresServer, tmp_path: Path) -> None:
    """Jobs begin within about a second, which is how often a worker looks; a result comes, a cancellation arrives."""
    cluster = PooledCluster(tmp_path, server, pooled)
    try:
        cluster.node(processes=2)
        tasks = cluster.tasks
        waits = []
        for _ in range(3):
            began = time.monotonic()
            assert tasks.work.submit(0.0).result(timeout=PATIENCE_S) > 0
            waits.append(time.monotonic() - began)
        endless = tasks.work_async.submit(600.0)
        cluster.wait_started([endless])
        endless.cancel()
        until(lambda: cluster.is_done(endless), "the cancelled job to end", PATIENCE_S)

        print(f"\nbehind a pooler, from submit to result: {', '.join(f'{wait:.2f}' for wait in waits)} s")
        assert max(waits) < 4.0
        assert cluster.find(endless).state == "cancelled"
    finally:
        cluster.close()


class PooledCluster(PostgresCluster):
    """Nodes whose only way to the server is the pooler, their leases' too."""

    def __init__(self, folder: Path, server: PostgresServer, pooled: str) -> None:
        self._pooled = pooled
        super().__init__(folder, server)

    def _make_address(self) -> str:
        return self._pooled
