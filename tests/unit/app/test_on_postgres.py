"""One URL to grow: the same app, the same calls, on PostgreSQL."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator

import pytest

from rota import Rota, State, Task
from rota.errors import NotAllowedError, SchemaVersionError
from rota.store.postgres.migrate import migrate
from rota.testing import assert_submitted, run_until_idle, run_until_idle_async, submitted
from tests.postgres_server import PostgresServer, server_or_skip
from tests.unit.app import pizzeria
from tests.unit.app.pizzeria import Order

pytestmark = [pytest.mark.postgres, pytest.mark.sample]

MITTE = Order("mitte", "funghi")


@pytest.fixture(scope="module")
def server() -> PostgresServer:
    return server_or_skip()


@pytest.fixture
def app(server: PostgresServer) -> Iterator[Rota]:
    """An app on a schema of its own."""
    schema = server.fresh_schema()
    asyncio.run(migrate(server.url, schema=schema))
    app = Rota(server.url, schema=schema)
    yield app
    app.close()


@pytest.fixture
def bake(app: Rota) -> Task[[Order], str]:
    """The pizzeria's task, in this app."""
    return app.task(key=lambda order: order.store)(pizzeria.bake.__wrapped__)  # type: ignore[attr-defined]


def test_plain_code_submits_waits_and_reads(app: Rota, bake: Task[[Order], str]) -> None:
    """Through a thread with an event loop, since the driver needs one."""
    token = bake.submit(MITTE)
    batch = bake.submit_many([Order(str(n), "verdure") for n in range(5)])
    assert token.status() is State.WAITING
    assert_submitted(bake, MITTE)

    run_until_idle(app)

    assert token.result(timeout=10) == "funghi for mitte"
    assert [one.result() for one in batch] == [f"verdure for {n}" for n in range(5)]
    assert [job.state for job in submitted(app, bake)] == [State.SUCCEEDED] * 6


def test_plain_code_puts_back_and_looks_at_many(app: Rota, bake: Task[[Order], str]) -> None:
    """The same answers and refusals as on SQLite."""
    token, done = bake.options(key=None).submit(MITTE), bake.options(key=None).submit(MITTE)
    token.cancel()
    run_until_idle(app)

    assert app.states([token, done]) == [State.CANCELLED, State.SUCCEEDED]
    assert (token.retry(), token.retry()) == (True, False)
    with pytest.raises(NotAllowedError, match=f"job {done} has succeeded: only a failed"):
        done.retry()
    assert app.states([token, done]) == [State.WAITING, State.SUCCEEDED]


def test_async_code_has_its_own_connections(app: Rota, bake: Task[[Order], str]) -> None:
    """A pool belongs to one loop; the next loop gets another."""

    async def work() -> str:
        token = await bake.submit_async(MITTE)
        waiting = asyncio.ensure_future(token.result_async(timeout=30))
        await run_until_idle_async(app)
        try:
            return await waiting
        finally:
            await app.close_async()

    assert [asyncio.run(work()), asyncio.run(work())] == ["funghi for mitte"] * 2


FORGETFUL = """
import atexit, gc, sys

TOKEN = "0198c2f1-7b3a-7cc0-8000-3d2f5e6a7b8c"

@atexit.register
def late():
    assert kept.states([TOKEN]) == [None]
    kept.close()
    closed.close()

from rota import Rota

for _ in range(3):
    Rota(sys.argv[1], schema=sys.argv[2]).states([TOKEN])
gc.collect()
kept, closed, left = [Rota(sys.argv[1], schema=sys.argv[2]) for _ in range(3)]
print([app.states([TOKEN]) for app in (kept, closed, left)])
"""


def test_an_app_that_nobody_closes_leaves_no_loop_behind(app: Rota) -> None:
    """Dropped, or left at exit: no complaint of a descriptor -1; what is called at exit still opens the store anew."""
    words = (app.config.store, app.config.schema)

    done = subprocess.run(
        [sys.executable, "-W", "always", "-c", FORGETFUL, *words],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (done.returncode, done.stdout) == (0, "[[None], [None], [None]]\n")
    for complaint in ("unclosed event loop", "Exception ignored", "Error"):
        assert complaint not in done.stderr


def test_a_database_without_a_schema_says_what_to_run(server: PostgresServer) -> None:
    """The first call on a new database is the first thing that goes wrong."""
    app = Rota(server.url, schema="nobody_made_this")
    bake = app.task(pizzeria.bake.__wrapped__)  # type: ignore[attr-defined]

    with pytest.raises(SchemaVersionError, match="rota migrate"):
        bake.submit(MITTE)
    app.close()
