"""A database of the PostgreSQL server under measurement, as the bench itself sees it: one connection, kept open."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg

_LONG_S = 600


class Database:
    """One side's database.

    Args:
        server_url: A database of the server, as a user who may create others.
        name: What it is called; one that is there is dropped.
    """

    def __init__(self, server_url: str, name: str) -> None:
        parts = urlsplit(server_url)
        self.url = urlunsplit(parts._replace(path=f"/{name}"))
        self._name = name
        self._server_url = server_url
        self._runner = asyncio.Runner()
        self._connection: asyncpg.Connection | None = None

    def recreate(self) -> None:
        """Begin with an empty one."""
        self.close()
        self._runner = asyncio.Runner()
        self._runner.run(self._recreate())

    def drop(self) -> None:
        """Remove it."""
        self.close()
        with asyncio.Runner() as runner:
            runner.run(self._drop())

    def close(self) -> None:
        """Let go of the connection."""
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None
        self._runner.close()

    def execute(self, *statements: str) -> None:
        """Run statements, each in a transaction of its own."""
        for statement in statements:
            self._runner.run(self._ask("execute", statement))

    def value(self, statement: str) -> Any:
        """Return the one value that a statement gives."""
        return self._runner.run(self._ask("fetchval", statement))

    def rows(self, statement: str) -> list[Any]:
        """Return all rows that a statement gives."""
        return list(self._runner.run(self._ask("fetch", statement)))

    def transactions(self) -> int:
        """Return how many transactions have been committed in it so far, as far as sessions have reported them."""
        return int(self.value("SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()"))

    @contextmanager
    def old_snapshot(self) -> Iterator[None]:
        """Hold a snapshot, as a report or a backup does, so that no vacuum may remove what dies meanwhile."""
        holder: asyncpg.Connection = self._runner.run(asyncpg.connect(self.url))
        try:
            self._runner.run(holder.execute("BEGIN ISOLATION LEVEL REPEATABLE READ"))
            self._runner.run(holder.fetchval("SELECT count(*) FROM pg_class"))
            yield
        finally:
            holder.terminate()

    async def _ask(self, how: str, statement: str) -> Any:
        if self._connection is None:
            self._connection = await asyncpg.connect(self.url, command_timeout=_LONG_S)
        return await getattr(self._connection, how)(statement)

    async def _recreate(self) -> None:
        await self._drop()
        server = await asyncpg.connect(self._server_url)
        try:
            await server.execute(f'CREATE DATABASE "{self._name}"')
        finally:
            await server.close()

    async def _drop(self) -> None:
        server = await asyncpg.connect(self._server_url)
        try:
            await server.execute(f'DROP DATABASE IF EXISTS "{self._name}" WITH (FORCE)')
        finally:
            await server.close()


def statements_a_second(database: Database, seconds: float) -> float:
    """Return how many transactions a second are committed during the next so many seconds, but for our own look."""
    before, began = database.transactions(), time.monotonic()
    time.sleep(seconds)
    return (database.transactions() - before - 1) / (time.monotonic() - began)
