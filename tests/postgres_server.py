"""A PostgreSQL server for tests: the one that ``ROTA_TEST_POSTGRES`` names, else one started from installed binaries.

scripts/postgres_server.py (starts, kills, stops) ──▶ one server a process ──▶ one schema a test
"""

from __future__ import annotations

import atexit
import functools
import itertools
import os
from pathlib import Path
from typing import NoReturn

import asyncpg

from scripts import postgres_server
from scripts.postgres_server import NoServerError, find_binaries, run_apart

_VARIABLE = "ROTA_TEST_POSTGRES"
_MEMORY = Path("/dev/shm")
_ROOM_BYTES = 4 * 2**30


class PostgresServer(postgres_server.PostgresServer):
    """A running server that hands out schemas."""

    def __init__(self, url: str, home: Path | None = None, arguments: list[str] | None = None) -> None:
        super().__init__(url, home, arguments)
        self._numbers = itertools.count(1)
        self._schemas: list[str] = []

    def stop(self) -> None:
        """End it and remove its data; of a server that is not ours, only the schemas that were handed out."""
        if not self.is_ours and self._schemas:
            run_apart(_drop(self.url, self._schemas))
            self._schemas = []
        super().stop()

    def fresh_schema(self) -> str:
        """Return a schema name that nobody has used; ``migrate(url, schema=…)`` makes it."""
        name = f"rota_{os.getpid()}_{next(self._numbers)}"
        self._schemas.append(name)
        return name


def start_server(
    *, is_durable: bool = True, settings: dict[str, str] | None = None, folder: Path | None = None
) -> PostgresServer:
    """Return a running server: the one of ``ROTA_TEST_POSTGRES``, else a new one.

    Args:
        is_durable: Whether commits reach the disk. Without it `rota doctor` calls the server unsafe.
        settings: More server settings, by name.
        folder: Where its data is kept; ``None`` for the system's folder for temporary files.

    All are ignored for a server that is not ours.

    Raises:
        NoServerError: If there is none.
    """
    if url := os.environ.get(_VARIABLE):
        return PostgresServer(url)
    return PostgresServer.start_own(is_durable=is_durable, settings=settings, folder=folder)


@functools.cache
def shared_server() -> PostgresServer:
    """Return the one server of this process, which ends with it. Nobody kills it, so no test needs its data on a disk.

    Raises:
        NoServerError: If there is none.
    """
    server = start_server(folder=_memory_with_room())
    atexit.register(server.stop)
    return server


def _memory_with_room() -> Path | None:
    """Return a folder that is kept in memory, if there is one with room for the largest test, and as much again."""
    try:
        there = os.statvfs(_MEMORY)
    except OSError:
        return None
    return _MEMORY if there.f_bavail * there.f_frsize >= _ROOM_BYTES else None


def server_or_skip() -> PostgresServer:
    """Return the shared server for a fixture; without one the test is skipped loudly, and in CI it fails."""
    try:
        return shared_server()
    except NoServerError as problem:
        _skip(problem)


def binaries_or_skip() -> None:
    """Skip a test that starts a server by itself, in a process of its own, where there are no binaries; in CI it fails."""
    try:
        find_binaries()
    except NoServerError as problem:
        _skip(problem)


def _skip(problem: NoServerError) -> NoReturn:
    import pytest

    says = f"PostgreSQL tests were NOT run, and {_VARIABLE} is not set: {problem}"
    if os.environ.get("CI"):
        pytest.fail(says)
    pytest.skip(says)


async def _drop(url: str, schemas: list[str]) -> None:
    connection = await asyncpg.connect(url)
    try:
        for schema in schemas:
            await connection.execute(f'DROP SCHEMA IF EXISTS "{schema}" CASCADE')
    finally:
        await connection.close()
