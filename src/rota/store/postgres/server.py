"""The road to the server: a few connections, and calls of our functions through them.

    call("settle_jobs", …) ──▶ a free connection ──▶ SELECT * FROM "rota".settle_jobs($1, …) ──▶ records, or our error
                                 │ none free: wait, at most 10 s       │ too late: the connection is given up, and with it
                                 └ none at all: connect, and again     └ those that lay idle: they may be as dead
                                   with growing pauses, at most 2 s

Everything the engine does is one function of the schema, so that a call is one round trip and one transaction, and no call
depends on settings of the session: those do not exist behind a pooler. No call waits without end, whatever the server and
the network do; how long, and why, is in ``bounds``.

A call goes where its function was called before, if that is free: what a back end has read and planned, it need not again.

Why not the driver's own pool: it resets a connection each time it is handed back, one more round trip, which is a third of
what a single submit takes.

Invariants, each with the test that holds it:
    A call ends, whatever hangs, and says what is known.     tests/postgres/test_connections.py
    No connection is lost sight of, however a call ends.     tests/postgres/test_connections.py
    A server that is away is not run at by everybody.        tests/postgres/test_connections.py
    A function is called where it has been called before.    tests/unit/store/test_server.py
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from typing import Any

import asyncpg

from rota.errors import StoreBusyError, StoreUnavailableError
from rota.runtime.clock import SystemClock
from rota.runtime.entropy import Entropy, SystemEntropy
from rota.runtime.patience import store_pause_s
from rota.store.postgres.bounds import BOUNDS, Bounds
from rota.store.postgres.connect import Connector, without_secrets
from rota.store.postgres.errors import (
    DRIVER_ERRORS,
    is_lost,
    is_passing,
    is_read_only,
    is_retried,
    translated,
    unavailable,
)

__all__ = ["CONNECTIONS_MAX", "Server", "quoted", "statement_of", "without_secrets"]

CONNECTIONS_MAX = 4
"""Connections of one process: a claim, a settle, a submit and one look-up at a time."""

_TYPES = "SELECT $1::smallint[], $2::integer[], $3::bigint[], $4::text[], $5::bytea[], $6::uuid[], $7::uuid, $8::text"
"""Of the arguments and results of our functions: what the driver does not know by itself, it asks the server for."""

_CLOSE_SECONDS_MAX = 2.0
_TRIES_MAX = 6
_DEADLOCK_PAUSE_S = 0.02
"""At most, times the tries so far: who met in a deadlock must not meet again at once."""


class Server:
    """A PostgreSQL server, as one process sees it. Belongs to the event loop in which it is first used.

    Args:
        url: As asyncpg takes it, and ``pooler``; see ``connect``.
        schema: Where everything of ours is.
        connections_max: The most connections to hold.
        bounds: How long things may take.
        entropy: Jitter between tries.

    Raises:
        ConfigError: The address says something of a pooler that means nothing.
    """

    def __init__(
        self,
        url: str,
        schema: str,
        *,
        connections_max: int = CONNECTIONS_MAX,
        bounds: Bounds = BOUNDS,
        entropy: Entropy | None = None,
    ) -> None:
        self.schema = schema
        self.bounds = bounds
        self.entropy = entropy or SystemEntropy(SystemClock())
        self._connector = Connector(url, schema, bounds)
        self.where = self._connector.where
        self._connections_max = connections_max
        self._free: deque[asyncpg.Connection] = deque()
        self._lent: set[asyncpg.Connection] = set()
        self._called: dict[asyncpg.Connection, set[str]] = {}
        self._all_back: asyncio.Future[None] | None = None
        self._places = asyncio.Semaphore(connections_max)
        self._parting: set[asyncio.Task[None]] = set()
        self._is_closed = False
        self._was_there = False
        self._refusals = 0
        self._knock_at = 0.0
        self._away_since = 0.0

    @property
    def is_pooled(self) -> bool:
        """Whether a pooler in transaction mode is in between; known once there was a connection."""
        return bool(self._connector.is_pooled)

    # ── calls ────────────────────────────────────────────────────────────────────────────────────────────────────────

    async def call(
        self, function: str, *arguments: Any, writes: bool = True, is_value: bool = False
    ) -> list[asyncpg.Record]:
        """Call one of our functions and return its rows.

        Tried again after a deadlock or a serialisation failure, which have rolled everything back; a call that only reads
        is also tried once more after a lost connection.

        Args:
            function: Its name.
            arguments: By place.
            writes: It changes something.
            is_value: It returns one value, for which the server need not make a table.

        Raises:
            OutcomeUnknownError: The connection was lost during a call that writes, or there was no reply in time.
            StoreBusyError: All connections are in use, or somebody else holds a lock. Nothing was written.
            StoreUnavailableError: No connection can be had. Nothing was written.
            StoreError: Any other; nothing was written.
        """
        statement = statement_of(self.schema, function, len(arguments), is_value=is_value)
        limit_s = self.bounds.of_call(function, arguments)
        tries = 0
        while True:
            connection = await self._borrow(function)
            try:
                records: list[asyncpg.Record] = await connection.fetch(statement, *arguments, timeout=limit_s)
            except DRIVER_ERRORS as problem:
                self._take_back(connection, problem)
                tries += 1
                if not _is_worth_another(problem, tries, writes=writes):
                    raise translated(problem, where=self.where, doing=function, writes=writes) from problem
            except BaseException as problem:
                self._take_back(connection, problem)
                raise
            else:
                self._take_back(connection)
                return records
            await asyncio.sleep(self.entropy.uniform(0, _DEADLOCK_PAUSE_S * tries))

    async def value(self, function: str, *arguments: Any, writes: bool = True) -> Any:
        """Call a function that returns one value."""
        return (await self.call(function, *arguments, writes=writes, is_value=True))[0][0]

    async def row(self, function: str, *arguments: Any, writes: bool = True) -> asyncpg.Record:
        """Call a function that returns one row."""
        return (await self.call(function, *arguments, writes=writes))[0]

    # ── connections ──────────────────────────────────────────────────────────────────────────────────────────────────

    @asynccontextmanager
    async def connection(self, looks_for: str = "") -> AsyncIterator[asyncpg.Connection]:
        """Lend a connection. One that was interrupted in the middle of something is not used again.

        Args:
            looks_for: What for, if it is only to look at something; then the driver's errors become ours.

        Raises:
            StoreBusyError: All are in use.
            StoreUnavailableError: None can be had.
        """
        connection = await self._borrow()
        try:
            yield connection
        except BaseException as problem:
            self._take_back(connection, problem)
            if looks_for and isinstance(problem, DRIVER_ERRORS):
                raise translated(problem, where=self.where, doing=looks_for, writes=False) from problem
            raise
        self._take_back(connection)

    async def connect(self, limit_s: float | None = None) -> asyncpg.Connection:
        """Open a connection of one's own, at once or not at all.

        Args:
            limit_s: For all of it; ``None`` for what is usual.

        Raises:
            StoreUnavailableError: If the server cannot be reached, or refuses.
        """
        return await self._connector.connect(limit_s)

    async def close(self) -> None:
        """Let go of all connections. Calls under way are waited for, for two seconds, then cut off. Safe to call twice."""
        self._is_closed = True
        self._part_with_idle()
        if self._lent:
            self._all_back = asyncio.get_running_loop().create_future()
            await asyncio.wait([self._all_back], timeout=_CLOSE_SECONDS_MAX)
        for connection in self._lent:
            connection.terminate()
        await asyncio.gather(*self._parting)

    async def _borrow(self, function: str = "") -> asyncpg.Connection:
        """Return a connection that nobody else uses, until ``_take_back``; for a function one that has called it before."""
        if self._places.locked():
            try:
                async with asyncio.timeout(self.bounds.wait_s):
                    await self._places.acquire()
            except TimeoutError:
                raise StoreBusyError(
                    f"all {self._connections_max} connections to {self.where} have been in use for {self.bounds.wait_s:g} s. "
                    "Nothing was written. Asking again is safe.",
                    store=self.where,
                ) from None
        else:
            await self._places.acquire()
        connection = self._take(function)
        if connection is None:
            try:
                connection = await self._connect_patiently()
            except BaseException:
                self._places.release()
                raise
            self._called[connection] = {function}
        self._lent.add(connection)
        return connection

    def _take_back(self, connection: asyncpg.Connection, problem: BaseException | None = None) -> None:
        """Keep a connection for the next, if it can still be used."""
        self._places.release()
        self._lent.discard(connection)
        is_sound = not connection.is_closed() and not self._is_closed
        if problem is not None:
            is_sound = is_sound and isinstance(problem, Exception) and not connection.is_in_transaction()
            if isinstance(problem, TimeoutError) or is_read_only(problem):
                # The others may be as silent, or lead to the same server that was the primary once.
                is_sound = False
                self._part_with_idle()
        if is_sound:
            self._free.append(connection)
        else:
            self._called.pop(connection, None)
            self._part_with(connection)
        if self._all_back is not None and not self._lent and not self._all_back.done():
            self._all_back.set_result(None)

    def _take(self, function: str) -> asyncpg.Connection | None:
        """Return a free connection. The first call of a function takes its back end milliseconds, to read and to plan it."""
        while self._free:
            connection = next((each for each in reversed(self._free) if function in self._called[each]), self._free[-1])
            self._free.remove(connection)
            if not connection.is_closed():
                self._called[connection].add(function)
                return connection
            del self._called[connection]
        return None

    async def _connect_patiently(self) -> asyncpg.Connection:
        """Connect, again and again while the server is only away for a moment: a restart need not be anybody's error.

        The pauses, a second at most, are the pool's and not the caller's: while the server refuses, all callers together knock
        at its door as often as one would. Once it has been away for longer than a moment, each asks a single time.
        """
        now = asyncio.get_running_loop().time
        while True:
            await asyncio.sleep(max(0.0, self._knock_at - now()))
            try:
                connection = await self._connect_well_read()
            except StoreUnavailableError as problem:
                if not self._refusals:
                    self._away_since = now()
                if now() >= self._knock_at:
                    self._refusals += 1
                    self._knock_at = now() + store_pause_s(self._refusals, self.entropy)
                is_over = now() >= self._away_since + self.bounds.reconnect_s
                if is_over or not self._was_there or not is_passing(problem.__cause__):
                    raise
            else:
                self._was_there, self._refusals, self._knock_at = True, 0, 0.0
                return connection

    async def _connect_well_read(self) -> asyncpg.Connection:
        """Connect, and have the driver look up the types of all functions at once: at their first use it is 3 ms each."""
        connection = await self.connect()
        if not self.is_pooled:
            try:
                await connection.fetch(_TYPES, *[None] * _TYPES.count("$"), timeout=self.bounds.connect_s)
            except BaseException as problem:
                connection.terminate()
                if isinstance(problem, DRIVER_ERRORS):
                    raise unavailable(problem, where=self.where) from problem
                raise
        return connection

    def _part_with_idle(self) -> None:
        while self._free:
            connection = self._free.pop()
            self._called.pop(connection, None)
            self._part_with(connection)

    def _part_with(self, connection: asyncpg.Connection) -> None:
        """Close a connection in the background; what it was interrupted in is cancelled at the server first."""
        if connection.is_closed():
            return
        task = asyncio.get_running_loop().create_task(_close(connection))
        self._parting.add(task)
        task.add_done_callback(self._parting.discard)


def _is_worth_another(problem: BaseException, tries: int, *, writes: bool) -> bool:
    """Whether the same call may be made again, and may go better."""
    if is_retried(problem):
        return tries < _TRIES_MAX
    return not writes and tries == 1 and is_lost(problem) and not isinstance(problem, TimeoutError)


async def _close(connection: asyncpg.Connection) -> None:
    try:
        await connection.close(timeout=_CLOSE_SECONDS_MAX)
    except (*DRIVER_ERRORS, asyncio.CancelledError):
        connection.terminate()


@cache
def statement_of(schema: str, function: str, arguments: int, *, is_value: bool) -> str:
    """Return what calls a function of ours with so many arguments."""
    places = ", ".join(f"${number}" for number in range(1, arguments + 1))
    return f"SELECT {'' if is_value else '* FROM '}{quoted(schema)}.{function}({places})"  # noqa: S608  (names, not values)


def quoted(name: str) -> str:
    """Return a name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'
