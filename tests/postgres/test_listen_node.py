"""A real node: its supervisor listens, its workers hear through it; without it they look."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from rota.store.relay import relay_folder
from tests.integration.postgres_cluster import PostgresCluster
from tests.postgres_server import PostgresServer
from tests.unit.node.waiting import until

PROCESSES = 3
LOOKS_EVERY_S = 1.0

pytestmark = [pytest.mark.postgres, pytest.mark.slow(seconds=5), pytest.mark.timed]


@pytest.fixture
def cluster(tmp_path: Path, server: PostgresServer) -> Iterator[PostgresCluster]:
    """A schema, and whatever is started on it."""
    made = PostgresCluster(tmp_path, server)
    yield made
    made.close()


def test_a_node_listens_once_and_works_without(cluster: PostgresCluster) -> None:
    """One connection that listens, for three workers; when its sockets are gone, jobs still begin within a second or so."""
    node = cluster.node(processes=PROCESSES)
    tasks = cluster.tasks
    heard = [_seconds_to_result(tasks) for _ in range(10)]
    listeners = cluster.ask(_listeners(cluster))
    row = node.row
    assert row is not None
    (folder,) = (cluster.folder / "tmp-here").glob("rota-*")
    hall = Path(relay_folder(str(folder), row.id))
    # Each worker says which slots are its own as soon as it has a ring.
    until(lambda: said_in(hall) == ["own"] * PROCESSES + ["relay"] + ["worker"] * PROCESSES, "everybody to be there")

    shutil.rmtree(hall)
    looked_for = [_seconds_to_result(tasks) for _ in range(3)]
    node.stop()

    print(f"\nheard: median {sorted(heard)[5] * 1e3:.0f} ms; looked for: {max(looked_for) * 1e3:.0f} ms at most")
    # This process, which waits for results, has one of its own while it waits.
    assert listeners == 1
    assert sorted(heard)[5] < LOOKS_EVERY_S / 2
    assert max(looked_for) < LOOKS_EVERY_S * 5
    until(lambda: not hall.exists(), "the node's folder to be gone")


def said_in(hall: Path) -> list[str]:
    """Return what kinds of files lie in a node's folder."""
    return sorted(path.name.partition("-")[0] for path in hall.iterdir())


def _seconds_to_result(tasks: object) -> float:
    began = time.monotonic()
    token = tasks.work.submit(0.0)  # type: ignore[attr-defined]
    while not token.status().is_final:
        time.sleep(0.002)
    return time.monotonic() - began


async def _listeners(cluster: PostgresCluster) -> int:
    """Count the connections whose back ends are woken up by a notification."""
    connection = await asyncpg.connect(cluster.server.url)
    try:
        return int(
            await connection.fetchval(
                "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1 "
                "AND (query LIKE 'LISTEN%' OR query = 'SELECT 1')",
                f"rota {cluster.schema}",
            )
        )
    finally:
        await connection.close()
