"""A store through a proxy, in a schema that is made once a process: for tests that break connections."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict, replace

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

PATIENT = Bounds(
    connect_s=20.0,
    wait_s=20.0,
    reconnect_s=10.0,
    call_s=40.0,
    long_call_s=20.0,
    silence_s=20.0,
    lock_s=20.0,
    beat_s=0.3,
)
"""For fair weather: whoever asks is answered, also when a machine that is busy lets one of us stand still for seconds."""
QUICK = Bounds(connect_s=0.7, wait_s=1.0, reconnect_s=0.3, call_s=0.7, long_call_s=0.7, beat_s=0.3)
"""For foul weather: what is to be given up is given up soon. See ``Through.hurries``."""
_OF_CALLS = ("connect_s", "wait_s", "reconnect_s", "call_s", "long_call_s")
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
        self._at_first = asdict(store._server.bounds)

    def hurries(self, bounds: Bounds = QUICK) -> None:
        """Have the store give up soon, from now on. A call that is under way keeps its own bound."""
        self._is_bounded_by(asdict(bounds))

    def has_time(self) -> None:
        """Have it wait for as long as it did at first."""
        self._is_bounded_by(self._at_first)

    def _is_bounded_by(self, seconds: Mapping[str, float]) -> None:
        # In place, since who listens keeps the bounds with which it began.
        server = self.store._server
        for name in _OF_CALLS:
            object.__setattr__(server.bounds, name, seconds[name])
        for connection in server._called:
            connection._config = connection._config._replace(command_timeout=seconds["call_s"])

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

    async def until_few(self) -> None:
        """Wait until no more than its connections are left: whose client is gone ends a moment later."""
        async with asyncio.timeout(ENDS_WITHIN_S):
            while len(await self.pids()) > CONNECTIONS_MAX:
                await asyncio.sleep(0.01)

    async def until_gone(self, pids: Iterable[int]) -> None:
        """Wait until these back ends have ended."""
        async with asyncio.timeout(ENDS_WITHIN_S):
            while set(pids) & set(await self.pids()):
                await asyncio.sleep(0.01)


@asynccontextmanager
async def open_through(
    server: PostgresServer, bounds: Bounds = PATIENT, connections_max: int = CONNECTIONS_MAX
) -> AsyncIterator[Through]:
    """Open a store through a proxy, and see that nothing is left of it when it has been closed."""
    before, clock, schema = asyncio.all_tasks(), ManualClock(), await asyncio.to_thread(schema_of, server)
    look = await asyncpg.connect(server.url)
    await look.execute(f"SET search_path = {quoted(schema)}")
    async with TcpProxy.before(server.url) as proxy:
        store = await PostgresStore.open(
            proxy.url_of(server.url),
            clock=clock,
            schema=schema,
            bounds=replace(bounds),
            connections_max=connections_max,
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
