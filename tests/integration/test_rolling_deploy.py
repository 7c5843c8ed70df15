"""A newer release has migrated the schema under nodes of this one: they go on, whoever of their processes dies."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from rota.store.postgres.schema import FUNCTIONS
from tests.integration.postgres_cluster import PostgresCluster
from tests.postgres_server import server_or_skip
from tests.unit.node.waiting import until

pytestmark = [pytest.mark.postgres, pytest.mark.slow(seconds=8)]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[PostgresCluster]:
    made = PostgresCluster(tmp_path, server_or_skip(), lease_s=8)
    yield made
    made.close()


async def migrate_by_a_newer_release(url: str, schema: str) -> None:
    """Note functions with a higher number, that serve this code."""
    connection = await asyncpg.connect(url)
    name = f"functions {FUNCTIONS + 1}, for code from {FUNCTIONS} on, 0123456789abcdef"
    await connection.execute(f"UPDATE {schema}.migrations SET name = $1 WHERE no = 0", name)
    await connection.close()


def test_an_old_node_goes_on_after_the_newer_release_s_migration(cluster: PostgresCluster) -> None:
    """Its worker dies, then its supervisor; each has a successor, which works."""
    node = cluster.node("old", processes=1)
    cluster.ask(migrate_by_a_newer_release(cluster.address, cluster.schema))

    pid = node.worker().pid
    cluster.kill(pid)
    until(lambda: node.worker().pid != pid and node.is_up(1), "a successor of the worker")
    cluster.wait_done([cluster.tasks.work.submit(0)])

    supervisor = node.supervisor
    os.kill(supervisor, signal.SIGKILL)
    until(lambda: node.supervisor != supervisor and node.is_up(1), "a successor of the supervisor")
    cluster.wait_done([cluster.tasks.work.submit(0)])
