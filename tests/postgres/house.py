"""A house of a test's own: a fresh schema, its store, and a connection to look behind the store's back."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from rota.store.postgres.migrate import migrate
from rota.store.postgres.server import quoted
from rota.store.postgres.store import PostgresStore
from rota.testing.clock import ManualClock
from scripts.postgres_server import NoServerError
from tests.contract.shop import CountingEntropy, Shop
from tests.postgres_server import PostgresServer


class House:
    """A schema, its store, and a connection to look behind the store's back.

    Attributes:
        url: The server, as its superuser.
        schema: Where all is.
        clock: The store's time.
        store: The engine.
        look: A connection whose search path is the schema.
        shop: The words of the contract tests.
    """

    def __init__(
        self, url: str, schema: str, clock: ManualClock, store: PostgresStore, look: asyncpg.Connection
    ) -> None:
        self.url, self.schema, self.clock = url, schema, clock
        self.store = store
        self.look = look
        self.shop = Shop(store, clock, CountingEntropy(clock))

    async def connect(self) -> asyncpg.Connection:
        """Return another connection whose search path is the schema; the caller closes it."""
        connection = await asyncpg.connect(self.url)
        await connection.execute(f"SET search_path = {quoted(self.schema)}, pg_temp")
        return connection


def own_server_or_skip(*, is_durable: bool = True, settings: dict[str, str] | None = None) -> PostgresServer:
    """Return a server that the caller may spoil and has to stop; without one the test is skipped loudly, in CI it fails."""
    try:
        return PostgresServer.start_own(is_durable=is_durable, settings=settings)
    except NoServerError as problem:
        says = f"PostgreSQL tests were NOT run: {problem}"
        if os.environ.get("CI"):
            pytest.fail(says)
        pytest.skip(says)


@asynccontextmanager
async def open_house(server: PostgresServer, clock: ManualClock) -> AsyncIterator[House]:
    """Make a house, and pull it down afterwards."""
    schema = server.fresh_schema()
    await migrate(server.url, schema=schema)
    store = await PostgresStore.open(server.url, clock=clock, schema=schema)
    look = await asyncpg.connect(server.url)
    try:
        await look.execute(f"SET search_path = {quoted(schema)}, pg_temp")
        yield House(server.url, schema, clock, store, look)
    finally:
        await store.close()
        await look.execute(f"DROP SCHEMA {quoted(schema)} CASCADE")
        await look.close()
