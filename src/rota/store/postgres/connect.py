"""One connection: how it is made, what it is told, and how a pooler in between is found out.

    postgresql://…?pooler=transaction ──▶ asyncpg ──▶ keep-alives on our socket ──▶ is it the server's own back end?

A pooler in transaction mode, such as PgBouncer, gives every transaction another back end: settings, prepared statements and
LISTEN do not last. Nobody need say that one is there: it either refuses the startup parameters, or the process number that it
gave us is not that of the back end which answers. ``?pooler=transaction`` spares the question, ``?pooler=none`` forbids the
conclusion.
"""

from __future__ import annotations

import socket
from typing import Final
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from rota.errors import ConfigError
from rota.store.postgres.bounds import BOUNDS, Bounds
from rota.store.postgres.errors import DRIVER_ERRORS, unavailable
from rota.store.postgres.hosts import Hosts
from rota.store.torn import WHAT_TO_DO, is_torn

POOLER: Final = "pooler"
_POOLED: Final = {"transaction": True, "none": False}
_PORT_MAX: Final = 65_535

_READ_BYTES: Final = 64 * 1024
"""What is read at once. asyncio makes room for 256 KiB before each read, which the C library may take from the kernel and give
back each time: three system calls and page faults for a reply of a hundred bytes, 30 µs or a twelfth of a lone submit."""


class Connector:
    """Makes connections to one server.

    Args:
        url: As asyncpg takes it, and ``pooler``.
        schema: Where everything of ours is; named for people who look at the server's list of connections.
        bounds: How long things may take.

    Attributes:
        where: The store, without secrets.
        is_pooled: Whether a pooler in transaction mode is in between; ``None`` as long as nobody has asked.

    Raises:
        ConfigError: ``pooler`` is something else than ``transaction`` or ``none``, or a port is none.
    """

    def __init__(self, url: str, schema: str, bounds: Bounds = BOUNDS) -> None:
        dsn, self.is_pooled = read_url(url)
        self._hosts = Hosts(dsn)
        self._schema = schema
        self._bounds = bounds
        self.where = without_secrets(url, schema)

    async def connect(self, limit_s: float | None = None) -> asyncpg.Connection:
        """Open a connection.

        Args:
            limit_s: For each step of it: a connection, and perhaps another one through the pooler that was found. ``None`` for
                what is usual.

        Raises:
            StoreUnavailableError: If the server cannot be reached, or refuses.
        """
        seconds = self._bounds.connect_s if limit_s is None else limit_s
        try:
            if self.is_pooled is None:
                connection = await self._find_out(seconds)
            else:
                connection = await self._open(seconds, is_pooled=self.is_pooled)
        except (*DRIVER_ERRORS, ValueError, OverflowError) as problem:  # ?port=99999 is an overflow
            raise unavailable(problem, where=self.where) from problem
        return connection

    async def _find_out(self, seconds: float) -> asyncpg.Connection:
        """Open the first connection, and see whether the server's own back end is behind it."""
        try:
            connection = await self._open(seconds, is_pooled=False)
        except asyncpg.ProtocolViolationError as refusal:
            if "startup parameter" not in str(refusal):
                raise
            self.is_pooled = True
            return await self._open(seconds, is_pooled=True)
        try:
            # Without arguments and without rows: nothing is prepared, so it is right with and without a pooler.
            number = int(connection.get_server_pid())
            said = await connection.execute(f"SELECT 1 WHERE pg_backend_pid() = {number}", timeout=seconds)
        except BaseException:
            connection.terminate()
            raise
        self.is_pooled = said != "SELECT 1"
        if not self.is_pooled:
            return connection
        connection.terminate()
        return await self._open(seconds, is_pooled=True)

    async def _open(self, seconds: float, *, is_pooled: bool) -> asyncpg.Connection:
        settings = {"application_name": f"rota {self._schema}"}
        if not is_pooled:
            settings |= self._bounds.at_the_server()
        connection = await self._hosts.first(
            lambda dsn: asyncpg.connect(
                dsn,
                timeout=seconds,
                command_timeout=self._bounds.call_s,
                server_settings=settings,
                # Without a cache the driver sends statement and arguments together: two round trips, and no state.
                statement_cache_size=0 if is_pooled else 100,
            )
        )
        try:
            _watch_for_silence(connection, self._bounds)
            _read_in_small_pieces(connection)
            # Tokens are bytes everywhere in rota: to build the driver's UUID object would cost more than the rest.
            await connection.set_type_codec("uuid", schema="pg_catalog", encoder=bytes, decoder=bytes, format="binary")
        except BaseException:
            connection.terminate()
            raise
        return connection


def _read_in_small_pieces(connection: asyncpg.Connection) -> None:
    """Have asyncio ask the C library for less; uvloop, and asyncio with TLS, keep one buffer and have no such number."""
    if hasattr(connection._transport, "max_size"):
        connection._transport.max_size = _READ_BYTES


def _watch_for_silence(connection: asyncpg.Connection, bounds: Bounds) -> None:
    """Have the kernel end a connection whose other machine is silent: else a reply could be waited for without end."""
    end = connection._transport.get_extra_info("socket")
    if end is None or end.family not in (socket.AF_INET, socket.AF_INET6):
        return
    idle_s, interval_s, probes = bounds.keepalive()
    end.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (
        ("TCP_KEEPIDLE", idle_s),
        ("TCP_KEEPINTVL", interval_s),
        ("TCP_KEEPCNT", probes),
        ("TCP_USER_TIMEOUT", round(bounds.silence_s * 1_000)),
    ):
        if hasattr(socket, name):
            end.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def read_url(url: str) -> tuple[str, bool | None]:
    """Return the address for the driver, without our own parameter; and what that says of a pooler.

    Raises:
        ConfigError: It says something that means nothing, or a port is none.
    """
    if is_torn(url):
        raise ConfigError(WHAT_TO_DO)
    parts = urlsplit(url)
    for host in parts.netloc.rpartition("@")[2].split(","):
        port = host.rpartition("]")[2].partition(":")[2]
        if port and not (port.isdecimal() and 0 < int(port) <= _PORT_MAX):
            raise ConfigError(
                f"{port} is no port, in the store's address {without_secrets(url)}. Nothing was opened. A port is a number "
                f"from 1 to {_PORT_MAX}; PostgreSQL's own is 5432.",
                value=port,
            )
    kept, is_pooled = [], None
    for parameter in filter(None, parts.query.split("&")):
        name, _, value = parameter.partition("=")
        if name != POOLER:
            kept.append(parameter)
        elif value in _POOLED:
            is_pooled = _POOLED[value]
        else:
            raise ConfigError(
                f"{POOLER}={value} in the store's address means nothing. Write {POOLER}=transaction for a pooler such as "
                f"PgBouncer in transaction mode, {POOLER}=none for none, or leave it out: then it is found out.",
                value=value,
            )
    return url if is_pooled is None else urlunsplit(parts._replace(query="&".join(kept))), is_pooled


def without_secrets(url: str, schema: str = "") -> str:
    """Return a store's address without user, password and parameters."""
    if is_torn(url):
        return f"{url.partition('://')[0]}://…"
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    # Not by urlunsplit, which leaves out the slashes before a host that is not named.
    return f"{parts.scheme}://{host}{parts.path}" + (f"#{schema}" if schema not in ("", "rota") else "")
