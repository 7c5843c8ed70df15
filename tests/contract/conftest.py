"""One suite, every engine: a test asks for ``shop`` (or ``store``) and does not know which engine is behind it.

With ``ROTA_TEST_POOLER=1``, or `make test-pooler`, PostgreSQL is reached through PgBouncer. That takes minutes, so what CI runs
is tests/postgres/test_pooler.py.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from rota.store.port import Store
from rota.testing.clock import ManualClock
from tests.contract.engines import Engine, PostgresEngine, SqliteEngine
from tests.contract.shop import CountingEntropy, Shop

Opener = Callable[..., Coroutine[Any, Any, Store]]


@pytest.fixture(
    params=["sqlite-memory", "sqlite-file", pytest.param("postgres", marks=pytest.mark.postgres)],
)
def engine(request: pytest.FixtureRequest, tmp_path: Path, clock: ManualClock) -> Engine:
    """Each engine in turn, empty."""
    if request.param == "sqlite-memory":
        return SqliteEngine(None, clock)
    if request.param == "sqlite-file":
        return SqliteEngine(tmp_path / "shop.db", clock)

    from tests.postgres_schemas import empty_schema
    from tests.postgres_server import server_or_skip

    server = server_or_skip()
    return PostgresEngine(server.url, empty_schema(server), clock, _pooled(request, server.url))


def _pooled(request: pytest.FixtureRequest, url: str) -> str | None:
    """Return the server's address through a pooler, if that is how it is to be reached."""
    if not os.environ.get("ROTA_TEST_POOLER"):
        return None
    through: str = request.getfixturevalue("pooler")(url)
    return through


@pytest.fixture(scope="session")
def pooler() -> Iterator[Callable[[str], str]]:
    """Start PgBouncer before a server, once a process."""
    from tests.pgbouncer import pgbouncer_before, pgbouncer_or_skip

    pgbouncer_or_skip()
    with contextlib.ExitStack() as running:
        yield functools.cache(lambda url: running.enter_context(pgbouncer_before(url)))


@pytest.fixture
def open_store(engine: Engine, runner: asyncio.Runner) -> Iterator[Opener]:
    """Open another handle on the same data; all are closed when the test ends."""
    opened: list[Store] = []

    async def open_one(*, waiting_max: int | None = None) -> Store:
        store = await engine.open(waiting_max=waiting_max)
        opened.append(store)
        return store

    yield open_one

    for store in reversed(opened):
        runner.run(store.close())


@pytest.fixture
def store(open_store: Opener, runner: asyncio.Runner) -> Store:
    """An empty store."""
    return runner.run(open_store())


@pytest.fixture
def shop(store: Store, clock: ManualClock) -> Shop:
    """The store with a clock and the words to speak to it."""
    return Shop(store, clock, CountingEntropy(clock))


@pytest.fixture
def other_store(store: Store, engine: Engine, open_store: Opener, runner: asyncio.Runner) -> Store:
    """A second handle on the same data, as another process has it; in memory there is only the one."""
    return runner.run(open_store()) if engine.outlives_its_handle else store
