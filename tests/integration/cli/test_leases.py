"""What `rota doctor` says of nodes that should be there, on PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

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


async def _done(url: str, schema: str, what: Callable[[Shop], Awaitable[None]]) -> None:
    clock = ManualClock()
    await migrate(url, schema=schema)
    store = await PostgresStore.open(url, clock=clock, schema=schema)
    try:
        await what(Shop(store, clock, CountingEntropy(clock)))
    finally:
        await store.close()
