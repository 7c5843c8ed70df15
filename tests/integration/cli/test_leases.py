"""What `rota doctor`, `health` and `workers` say of nodes that should be there, on PostgreSQL."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from rota.app.host_folder import host_folder
from rota.store.port import NewWorker
from rota.store.postgres.migrate import migrate
from rota.store.postgres.store import PostgresStore
from rota.testing.clock import ManualClock
from tests.contract.shop import CountingEntropy, Shop, a_node
from tests.integration.cli.shop import Folder
from tests.postgres_server import PostgresServer, server_or_skip

pytestmark = pytest.mark.postgres


@pytest.fixture
def server() -> PostgresServer:
    """A real server."""
    return server_or_skip()


def test_the_doctor_names_a_node_that_renews_no_lease(empty: Folder, server: PostgresServer) -> None:
    """Its host is gone, and with it everybody who could take over: its jobs stand still, and nothing else shows it."""
    schema = server.fresh_schema()
    place = {"ROTA_STORE": server.url, "ROTA_SCHEMA": schema}

    async def a_lost_host(shop: Shop) -> None:
        node = await shop.store.register_node(a_node("pankow", proof="elsewhere", lease_ms=400))
        baker = await shop.worker("pankow/1", node_id=node.id)
        await shop.submit_one(shop.job())
        await baker.claim()

    asyncio.run(_done(server.url, schema, a_lost_host))
    (found,) = [one for one in empty.rota("doctor", "--json", **place).objects if one["check"] == "leases"]

    assert found["level"] == "warning"
    assert found["says"] == "pankow has not renewed its lease for 250 ms; its workers still hold 1 job"
    assert "rota run MODULE:APP" in found["advice"]


def test_whose_lock_lies_here_is_known_to_have_ended_before_its_lease_runs_out(
    empty: Folder, server: PostgresServer
) -> None:
    """A probe that calls a node healthy which was killed a second ago is of no use; of another host's it cannot know."""
    schema = server.fresh_schema()
    place = {"ROTA_STORE": server.url, "ROTA_SCHEMA": schema}

    async def two_nodes(shop: Shop) -> None:
        for name, proof in (("gone", "killed"), ("elsewhere", "far")):
            node = await shop.store.register_node(a_node(name, proof=f"node-{proof}", lease_ms=8_000))
            await shop.store.register_worker(a_worker(f"{name}/1", node.id, f"worker-{proof}"))

    asyncio.run(_done(server.url, schema, two_nodes))
    folder = Path(host_folder(server.url, schema))
    try:
        for proof in ("node-killed", "worker-killed"):
            (folder / f"{proof}.lock").touch()  # Free: whoever held it has ended.
        gone = empty.rota("health", "--node", "gone", **place)
        health = empty.rota("health", "--json", **place).object
        workers = {row["worker"]: row["alive"] for row in empty.rota("workers", "--json", **place).objects}
        told = empty.rota("workers", **place).lines
    finally:
        shutil.rmtree(folder)

    assert (gone.code, "the process of gone has ended" in gone.err) == (69, True)
    assert (health["healthy"], health["nodes"], health["workers"]) == (True, ["elsewhere"], 1)
    assert workers == {"gone/1": False, "elsewhere/1": None}
    assert [line.split()[-1] for line in told[1:]] == ["works", "dead"]


def test_the_doctor_names_a_task_that_nobody_knows_there_too(empty: Folder, server: PostgresServer) -> None:
    """A renamed task, and behind it more than are all looked at."""
    schema = server.fresh_schema()
    place = {"ROTA_STORE": server.url, "ROTA_SCHEMA": schema}

    async def a_deploy_half_done(shop: Shop) -> None:
        await shop.worker("mitte/1")
        await shop.submit_one(shop.job(task="old name"))
        for _ in range(3):
            shop.clock.advance(1)
            await shop.store.submit([shop.job() for _ in range(200)])

    asyncio.run(_done(server.url, schema, a_deploy_half_done))
    (found,) = [one for one in empty.rota("doctor", "--json", **place).objects if one["check"] == "tasks"]

    assert found["level"] == "warning"
    assert found["says"].startswith("at least 1 job of task 'old name' waiting in queue 'ovens', of which no worker")


def a_worker(name: str, node_id: int, proof: str) -> NewWorker:
    """Return a worker that wants to be known."""
    return NewWorker(node_id=node_id, name=name, proof=proof, queues=["ovens"], tasks=["bake"])


async def _done(url: str, schema: str, what: Callable[[Shop], Awaitable[None]]) -> None:
    clock = ManualClock()
    await migrate(url, schema=schema)
    store = await PostgresStore.open(url, clock=clock, schema=schema)
    try:
        await what(Shop(store, clock, CountingEntropy(clock)))
    finally:
        await store.close()
