"""A store through a proxy, in a schema that is made once a process: for tests that break connections."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import asyncpg

from rota.errors import StoreError
from rota.store.postgres.bounds import Bounds
from rota.store.postgres.migrate import migrate
from rota.store.postgres.server import CONNECTIONS_MAX, quoted
from rota.store.postgres.store import PostgresStore
from rota.testing.clock import ManualClock
from scripts.postgres_server import run_apart
from tests.contract.shop import CountingEntropy, Shop
from tests.postgres.case import fresh
from tests.postgres_server import PostgresServer
from tests.tcp_proxy import TcpProxy

QUICK = Bounds(connect_s=0.7, wait_s=1.0, reconnect_s=0.3, call_s=0.7, long_call_s=0.7, beat_s=0.3)
ENDS_WITHIN_S = 20.0
"""All bounds of ``QUICK`` one after another, and much more for a machine that is busy."""


@functools.cache
def schema_of(server: PostgresServer) -> str:
    """Return a schema of this server that all these tests share: none of them needs an empty one."""
    schema = server.fresh_schema()
    run_apart(_made(server.url, schema))
    return schema


async def _made(url: str, schema: str) -> None:
    await migrate(url, schema=schema)


class Through:
    """A store through a proxy.

    Attributes:
        proxy: What stands between it and the server.
        store: The store.
        shop: It, with the words of the contract tests.
        look: A connection of one's own, not through the proxy, whose search path is the schema.
        server_url: The server.
        url: The proxy before it.
    """

    def __init__(
        self, server_url: str, proxy: TcpProxy, store: PostgresStore, shop: Shop, look: asyncpg.Connection
    ) -> None:
        self.proxy, self.store, self.shop, self.look = proxy, store, shop, look
        self.server_url, self.url = server_url, proxy.url_of(server_url)

    async def pids(self, which: str = "true") -> list[int]:
        """Return the back ends of the store, of which this is true."""
        await self.look.execute("SELECT pg_stat_clear_snapshot()")
        records = await self.look.fetch(
            f"SELECT pid FROM pg_stat_activity WHERE application_name = $1 AND {which}",
            f"rota {self.store._server.schema}",
        )
        return [record["pid"] for record in records]

    async def until(self, which: str, count: int) -> None:
        """Wait until this is true of so many back ends of the store."""
        async with asyncio.timeout(ENDS_WITHIN_S):
            while len(await self.pids(which)) != count:
                await asyncio.sleep(0.01)


@asynccontextmanager
async def open_through(
    server: PostgresServer, bounds: Bounds = QUICK, connections_max: int = CONNECTIONS_MAX
) -> AsyncIterator[Through]:
    """Open a store through a proxy, and see that nothing is left of it when it has been closed."""
    before, clock, schema = asyncio.all_tasks(), ManualClock(), await asyncio.to_thread(schema_of, server)
    look = await asyncpg.connect(server.url)
    await look.execute(f"SET search_path = {quoted(schema)}")
    async with TcpProxy.before(server.url) as proxy:
        store = await PostgresStore.open(
            proxy.url_of(server.url), clock=clock, schema=schema, bounds=bounds, connections_max=connections_max
        )
        through = Through(server.url, proxy, store, Shop(store, clock, _entropy(clock)), look)
        # So that the next submit is a single request: numbers are known, room has been counted, the statement is prepared.
        await store.submit([fresh(through.shop.job())])
        yield through
        proxy.clear()
        async with asyncio.timeout(ENDS_WITHIN_S):
            await store.close()
        await through.until("true", 0)
    await look.close()
    async with asyncio.timeout(ENDS_WITHIN_S):
        while asyncio.all_tasks() - before:
            await asyncio.sleep(0.01)


@functools.cache
def _shared_entropy() -> CountingEntropy:
    return CountingEntropy(ManualClock())


def _entropy(clock: ManualClock) -> CountingEntropy:
    """Return chance whose tokens no other test of this process has: they share a schema."""
    del clock
    return _shared_entropy()


async def ended(call: Callable[[], Awaitable[object]]) -> tuple[StoreError | None, float]:
    """Make a call; return how it failed, and after how many seconds. One that does not end fails the test."""
    now = asyncio.get_running_loop().time
    began = now()
    async with asyncio.timeout(ENDS_WITHIN_S):
        try:
            await call()
        except StoreError as problem:
            return problem, now() - began
    return None, now() - began
