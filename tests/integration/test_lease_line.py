"""The connection on which a lease is renewed: bounded whatever the network does, and never shared by two calls."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager

import asyncpg
import pytest

from rota.errors import ConfigError, NodeClosedError, StoreError
from rota.store.port import NewNode
from rota.store.postgres.identity import refuse_other_store
from rota.store.postgres.lease_line import LeaseLine
from rota.store.postgres.migrate import migrate
from rota.store.postgres.store import PostgresStore
from tests.postgres_server import PostgresServer, server_or_skip
from tests.tcp_proxy import TcpProxy

LIMIT_S = 0.3
LIBERAL_S = 10.0


@pytest.fixture
def server() -> PostgresServer:
    return server_or_skip()


class Case:
    """A node, its store, and a line through a network of its own."""

    def __init__(self, store: PostgresStore, node_id: int, line: LeaseLine, net: TcpProxy) -> None:
        self.store = store
        self.node_id = node_id
        self.line = line
        self.net = net

    def renew(self, counter: int, limit_s: float = LIBERAL_S) -> Awaitable[None]:
        return self.line.renew(self.node_id, counter, limit_s)

    async def counter(self) -> int:
        (row,) = (await self.store.membership()).nodes
        return row.counter


@asynccontextmanager
async def case_on(server: PostgresServer) -> AsyncIterator[Case]:
    schema = server.fresh_schema()
    await migrate(server.url, schema)
    store = await PostgresStore.open(server.url, schema=schema)
    async with TcpProxy.before(server.url) as net:
        line = LeaseLine(net.url_of(server.url), schema)
        node = await store.register_node(NewNode("mitte", "node-1", "{}", 8_000))
        try:
            yield Case(store, node.id, line, net)
        finally:
            line.close()
            await store.close()


async def test_one_connection_is_kept(server: PostgresServer) -> None:
    """A renewal is one round trip, and the greatest value stays."""
    async with case_on(server) as case:
        for counter in (1, 2, 5, 3):
            await case.renew(counter)

        assert await case.counter() == 5
        assert case.net.accepted == 1


async def test_calls_side_by_side_do_not_share_a_connection(server: PostgresServer) -> None:
    """One that is silent must not hold up the others."""
    async with case_on(server) as case:
        await case.renew(1)
        case.net.black_hole()
        silent = asyncio.ensure_future(case.renew(2))
        while case.net.up.is_black_hole and not case.line.calls:
            await asyncio.sleep(0)
        case.net.clear()

        await asyncio.gather(silent, case.renew(3))

        assert await case.counter() == 3
        assert case.net.accepted == 2


@pytest.mark.timed
@pytest.mark.parametrize("has_connection", [True, False])
async def test_a_silent_network_is_given_up_in_time(server: PostgresServer, *, has_connection: bool) -> None:
    """Whether it is asked or connected to; and nobody waits for a connection to end in good order."""
    async with case_on(server) as case:
        if has_connection:
            await case.renew(1)
        case.net.black_hole()
        loop = asyncio.get_running_loop()
        began = loop.time()

        with pytest.raises(StoreError):
            await case.renew(2, LIMIT_S)

        assert LIMIT_S - 0.05 <= loop.time() - began < LIMIT_S + 0.5
        case.net.clear()
        await case.renew(3)
        assert case.line.calls == 0


async def test_a_broken_connection_is_replaced(server: PostgresServer) -> None:
    """The call that finds it broken fails at once; the next one connects."""
    async with case_on(server) as case:
        await case.renew(1)
        case.net.reset()

        tries = 0
        while await case.counter() < 2:
            tries += 1
            try:
                await case.renew(2)
            except StoreError:
                assert tries == 1


async def test_a_closed_node_is_told_so(server: PostgresServer) -> None:
    """By any call, and for ever."""
    async with case_on(server) as case:
        await case.renew(1)
        await case.store.close_node(case.node_id, 1)

        for counter in (2, 3):
            with pytest.raises(NodeClosedError):
                await case.renew(counter)


async def test_closing_waits_for_nobody(server: PostgresServer) -> None:
    """Also while a call is waiting in vain."""
    async with case_on(server) as case:
        await case.renew(1)
        case.net.black_hole()
        waiting = asyncio.ensure_future(case.renew(2))
        while not case.line.calls:
            await asyncio.sleep(0)

        case.line.close()

        with pytest.raises(StoreError):
            await waiting


async def test_leases_of_another_store_are_refused(server: PostgresServer) -> None:
    """Its nodes have the same numbers: one would be kept alive there, and given up for dead here while its workers work."""
    schema = server.fresh_schema()
    await migrate(server.url, schema)
    url = server.url.rpartition("/")[0] + f"/leases_{schema}"
    owner = await asyncpg.connect(server.url)
    await owner.execute(f"CREATE DATABASE leases_{schema}")
    try:
        async with TcpProxy.before(server.url) as net:
            await refuse_other_store(server.url, net.url_of(server.url), schema)
        for _ in ("a database without a store", "one with a store of the same name"):
            with pytest.raises(ConfigError, match="which is another store than"):
                await refuse_other_store(server.url, url, schema)
            await migrate(url, schema)
    finally:
        await owner.execute(f"DROP DATABASE leases_{schema} WITH (FORCE)")
        await owner.close()
