"""The road to the server: a few connections, and calls of our functions through them.

    call("settle_jobs", …) ──▶ a free connection ──▶ SELECT * FROM "rota".settle_jobs($1, …) ──▶ records, or our error

Everything the engine does is one function of the schema, so that a call is one round trip and one transaction, and no call
depends on settings of the session: those do not exist behind a pooler.

Why not the driver's own pool: it resets a connection each time it is handed back, one more round trip, which is a third of
what a single submit takes.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from rota.store.postgres.errors import DRIVER_ERRORS, is_lost, is_retried, translated, unavailable

CONNECTIONS_MAX = 4
"""Connections of one process: a claim, a settle, a submit and one look-up at a time."""

_CONNECT_SECONDS_MAX = 10.0
_CALL_SECONDS_MAX = 60.0
_CLOSE_SECONDS_MAX = 2.0
_TRIES_MAX = 6


class Server:
    """A PostgreSQL server, as one process sees it. Belongs to the event loop in which it is first used.

    Args:
        url: As asyncpg takes it.
        schema: Where everything of ours is.
        connections_max: The most connections to hold.
    """

    def __init__(self, url: str, schema: str, *, connections_max: int = CONNECTIONS_MAX) -> None:
        self.schema = schema
        self.where = without_secrets(url, schema)
        self._url = url
        self._free: deque[asyncpg.Connection] = deque()
        self._places = asyncio.Semaphore(connections_max)
        self._parting: set[asyncio.Task[None]] = set()
        self._is_closed = False

    async def call(self, function: str, *arguments: Any, writes: bool = True) -> list[asyncpg.Record]:
        """Call one of our functions and return its rows.

        Tried again after a deadlock or a serialisation failure, which have rolled everything back; a call that only reads
        is also tried once more after a lost connection.

        Raises:
            OutcomeUnknownError: The connection was lost during a call that writes.
            StoreError: Any other; nothing was written.
        """
        statement = _statement(self.schema, function, len(arguments))
        for tries_left in reversed(range(_TRIES_MAX)):
            async with self.connection() as connection:
                try:
                    records: list[asyncpg.Record] = await connection.fetch(statement, *arguments)
                    return records
                except DRIVER_ERRORS as problem:
                    again = is_retried(problem) or (not writes and is_lost(problem) and tries_left == _TRIES_MAX - 1)
                    if not (again and tries_left):
                        raise translated(problem, where=self.where, doing=function, writes=writes) from problem
        raise AssertionError("the last try returns or raises")

    async def value(self, function: str, *arguments: Any, writes: bool = True) -> Any:
        """Call a function that returns one value."""
        return (await self.call(function, *arguments, writes=writes))[0][0]

    async def row(self, function: str, *arguments: Any, writes: bool = True) -> asyncpg.Record:
        """Call a function that returns one row."""
        return (await self.call(function, *arguments, writes=writes))[0]

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[asyncpg.Connection]:
        """Lend a connection. One that was interrupted in the middle of something is not used again."""
        async with self._places:
            connection = await self._take()
            is_sound = False
            try:
                yield connection
                is_sound = True
            except Exception:
                is_sound = not connection.is_closed() and not connection.is_in_transaction()
                raise
            finally:
                if is_sound and not self._is_closed and not connection.is_closed():
                    self._free.append(connection)
                else:
                    self._part_with(connection)

    async def connect(self) -> asyncpg.Connection:
        """Open a connection of one's own.

        Raises:
            StoreUnavailableError: If the server cannot be reached.
        """
        try:
            connection = await asyncpg.connect(
                self._url,
                timeout=_CONNECT_SECONDS_MAX,
                command_timeout=_CALL_SECONDS_MAX,
                server_settings={"application_name": f"rota {self.schema}"},
            )
        except (*DRIVER_ERRORS, ValueError) as problem:
            raise unavailable(problem, where=self.where) from problem
        try:
            # Tokens are bytes everywhere in rota: to build the driver's UUID object would cost more than the rest.
            await connection.set_type_codec("uuid", schema="pg_catalog", encoder=bytes, decoder=bytes, format="binary")
        except BaseException as problem:
            connection.terminate()
            if isinstance(problem, DRIVER_ERRORS):
                raise unavailable(problem, where=self.where) from problem
            raise
        return connection

    async def close(self) -> None:
        """Let go of all connections. Safe to call twice."""
        self._is_closed = True
        while self._free:
            self._part_with(self._free.pop())
        await asyncio.gather(*self._parting)

    def _part_with(self, connection: asyncpg.Connection) -> None:
        """Close a connection in the background; what it was interrupted in is cancelled at the server first."""
        task = asyncio.get_running_loop().create_task(_close(connection))
        self._parting.add(task)
        task.add_done_callback(self._parting.discard)

    async def _take(self) -> asyncpg.Connection:
        while self._free:
            connection = self._free.pop()
            if not connection.is_closed():
                return connection
        return await self.connect()


async def _close(connection: asyncpg.Connection) -> None:
    try:
        await connection.close(timeout=_CLOSE_SECONDS_MAX)
    except (*DRIVER_ERRORS, asyncio.CancelledError):
        connection.terminate()


@cache
def _statement(schema: str, function: str, arguments: int) -> str:
    places = ", ".join(f"${number}" for number in range(1, arguments + 1))
    return f"SELECT * FROM {quoted(schema)}.{function}({places})"  # noqa: S608  (names of ours, not values)


def quoted(name: str) -> str:
    """Return a name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def without_secrets(url: str, schema: str = "") -> str:
    """Return a store's address without user, password and parameters."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, "", schema if schema != "rota" else ""))
