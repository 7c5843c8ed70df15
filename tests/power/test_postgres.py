"""PostgreSQL is killed, or its disk fails: what was acknowledged is there, and what is not on the disk is not acknowledged."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from random import Random

import pytest

from rota.store.postgres.migrate import migrate
from scripts.postgres_server import NoServerError, PostgresServer
from tests.checkers.history import Submitted, Submitting
from tests.power.conftest import FailingSyncs
from tests.power.postgres import Load

KILLS = int(os.environ.get("ROTA_POSTGRES_KILLS", "5"))
SUBMITTERS = 4

pytestmark = [pytest.mark.postgres, pytest.mark.timeout(240 + 10 * KILLS)]


def own_server() -> PostgresServer:
    """Start a server that may be killed: never the one that others use."""
    try:
        return PostgresServer.start_own()
    except NoServerError as problem:
        if os.environ.get("CI"):
            pytest.fail(str(problem))
        pytest.skip(f"SKIPPED, and so unproved here: {problem}")


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    """A server with fsync on."""
    server = own_server()
    yield server
    server.stop()


async def test_a_killed_server_has_everything_that_was_acknowledged(server: PostgresServer) -> None:
    """Postmaster and back ends, in the middle of commits, again and again; no client has anything to repair."""
    await migrate(server.url, "rota_kills")
    load = Load(server, "rota_kills", seed=1)
    chance = Random(2)

    await load.run(SUBMITTERS, [chance.randrange(1, 400) for _ in range(KILLS)])

    assert await load.judge() == []
    assert load.unknown > 0, "nobody was in the middle of a call"
    print(f"\n{KILLS} kills, {load.accepted} accepted, {load.unknown} unknown, {load.refused} refused, 0 lost")


async def test_what_postgres_cannot_sync_is_never_acknowledged(
    failing_syncs: FailingSyncs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error to the caller, and after the disk is well again, all that was acknowledged before and nothing half."""
    for name, value in failing_syncs.environment.items():
        monkeypatch.setenv(name, value)
    server = own_server()
    try:
        await migrate(server.url, "rota_fsync")
        load = Load(server, "rota_fsync", seed=1)
        stores = [await load.store() for _ in range(SUBMITTERS)]
        await asyncio.gather(*(load.submit(store, load.jobs(3)) for store in stores))
        before = load.accepted

        failing_syncs.begin()
        await asyncio.gather(*(load.submit(store, load.jobs(1)) for store in stores for _ in range(3)))

        assert before == 3 * SUBMITTERS
        assert load.accepted == before
        assert load.unknown > 0
        assert load.unknown + load.refused == 3 * SUBMITTERS

        failing_syncs.end()
        server.kill()
        server.start()
        assert await load.judge() == []
        await load.submit(stores[0], load.jobs(1))
        assert load.accepted == before + 1
        for store in stores:
            await store.close()
    finally:
        server.stop()


async def test_a_lost_job_would_be_noticed(server: PostgresServer) -> None:
    """The judge must be able to say no: of a job that was acknowledged and is not there, and of one that nobody submitted."""
    await migrate(server.url, "rota_judge")
    load = Load(server, "rota_judge", seed=1)
    store = await load.store()
    await load.submit(store, load.jobs(2))
    assert await load.judge() == []

    kept = [event for event in load.history if isinstance(event, Submitting)]
    load.history.append(Submitted(at=kept[0].at, token="00000000-0000-7000-8000-000000000000"))
    load.history.remove(kept[0])

    assert {broken.truth.split()[0] for broken in await load.judge()} == {"no", "accepted"}
    await store.close()
