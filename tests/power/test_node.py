"""A node whose disk fails for a while: everybody stops, nothing is lost, and it goes on by itself when the disk is well."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from rota.model.state import State
from tests.integration.cluster import Cluster
from tests.power.conftest import FailingSyncs
from tests.processes import is_running
from tests.unit.node.waiting import until


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """A store and no node yet; everything that is started is dead at the end."""
    made = Cluster(tmp_path)
    yield made
    made.close()


def test_a_node_stops_at_a_disk_error_and_goes_on_when_the_disk_is_well(
    cluster: Cluster, failing_syncs: FailingSyncs
) -> None:
    """A handle on a disk that has failed is of no use any more: worker and supervisor end, and others open the store anew."""
    node = cluster.node(processes=1, environment=failing_syncs.environment)
    before = [cluster.tasks.work.submit(0.001) for _ in range(5)]
    cluster.wait_done(before)
    worker, supervisor = node.worker().pid, node.supervisor

    failing_syncs.begin()
    meanwhile = [cluster.tasks.work.submit(0.001) for _ in range(5)]
    until(lambda: not is_running(worker), "the worker to end", 30)
    until(lambda: not is_running(supervisor), "the supervisor to end", 30)
    assert os.path.exists(f"{cluster.path}.d/disk-error")
    failing_syncs.end()

    cluster.wait_done([*before, *meanwhile])
    after = cluster.tasks.work.submit(0.001)
    cluster.wait_done([after])
    assert cluster.states([*before, *meanwhile, after]) == [State.SUCCEEDED] * 11
    assert not os.path.exists(f"{cluster.path}.d/disk-error")
    assert node.keeper.poll() is None
