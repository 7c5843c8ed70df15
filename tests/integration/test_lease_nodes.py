"""Nodes on PostgreSQL: a crash is made up for at once on its host, after a lease elsewhere, and never too early (P4, P6)."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from rota.model.state import State
from tests.checkers.history import Alive, Started
from tests.checkers.one_runner import one_runner
from tests.integration.cluster import Node, assert_runs_again_once_its_process_is_gone, stop, wait_told
from tests.integration.postgres_cluster import PostgresCluster
from tests.postgres_server import server_or_skip
from tests.processes import children_of, is_running
from tests.unit.node.waiting import until

pytestmark = [pytest.mark.slow(seconds=8), pytest.mark.timed]

LEASE_S = 3.0
KILL_S = LEASE_S * 5.5 / 8
SLACK_S = 1.0
"""For a machine that is busy with other things."""


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[PostgresCluster]:
    made = PostgresCluster(tmp_path, server_or_skip(), LEASE_S)
    yield made
    made.close()


def now_s() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def processes_of(node: Node, count: int) -> list[int]:
    """Return the supervisor and its workers."""
    return [node.supervisor, *(node.worker(number).pid for number in range(1, count + 1))]


def wait_gone(pids: list[int], seconds: float) -> None:
    until(lambda: not any(is_running(pid) for pid in pids), f"processes {pids} to be gone", seconds)


def at_s(event: dict[str, Any]) -> float:
    """Return when an event was logged."""
    return datetime.fromisoformat(event["at"]).timestamp()


def silence_s(cluster: PostgresCluster, token: object) -> float:
    """Return the seconds between a job's last sign of life in its first run and the begin of the second."""
    events = [event for event in cluster.history() if isinstance(event, Alive | Started) and event.token == str(token)]
    second = sorted({event.fence for event in events})[1]
    last = max(event.at for event in events if event.fence < second)
    return (min(event.at for event in events if event.fence == second) - last) / 1e9


def test_a_killed_workers_jobs_run_again_within_a_second(cluster: PostgresCluster, gate: Path) -> None:
    """Its own supervisor sees it by the kernel, whatever the store is; a drain ends the node in good order."""
    node = cluster.node("mitte", processes=2, concurrency=8)
    tokens = cluster.tasks.beat.submit_many([str(gate)] * 8)
    cluster.wait_started(tokens)
    victim = next(one for one in (node.worker(1), node.worker(2)) if cluster.held()[one.name])
    theirs = [token for token in tokens if cluster.starts(token)[0].worker == f"process {victim.pid}"]

    killed_at = now_s()
    cluster.kill(victim.pid)

    again = [cluster.wait_again(token, 2) for token in theirs]
    assert max(start.at for start in again) / 1e9 - killed_at < 1
    gate.touch()
    cluster.wait_done(tokens)
    assert set(cluster.states(tokens)) == {State.SUCCEEDED}
    assert node.stop() == 0
    assert cluster.membership().nodes == []
    assert one_runner(cluster.history()) == []


def test_a_neighbour_on_the_host_takes_over_within_a_second(cluster: PostgresCluster, gate: Path) -> None:
    """The dead supervisor's lock is free, and so are its workers': nobody waits for a lease."""
    lost = cluster.node("lost", processes=2, concurrency=2)
    tokens = cluster.tasks.beat.submit_many([str(gate)] * 4)
    cluster.wait_started(tokens)
    cluster.node("other", processes=1, concurrency=8)
    supervisor = lost.supervisor
    stop(lost.keeper.pid)  # so that it does not start another

    killed_at = now_s()
    os.kill(supervisor, signal.SIGKILL)

    again = [cluster.wait_again(token, 2) for token in tokens]
    assert max(start.at for start in again) / 1e9 - killed_at < 1
    gate.touch()
    cluster.wait_done(tokens)
    assert one_runner(cluster.history()) == []


@pytest.mark.parametrize("whole_group", [False, True])
def test_a_stopped_node_is_dead_before_others_start_its_jobs(
    cluster: PostgresCluster, gate: Path, *, whole_group: bool
) -> None:
    """The kernel ends it while it cannot even look at a clock; on another host there is only the lease to go by."""
    stopped = cluster.node("stopped", processes=2, concurrency=2, host="one")
    tokens = cluster.tasks.beat.submit_many([str(gate)] * 4)
    cluster.wait_started(tokens)
    cluster.node("other", processes=1, concurrency=8, host="two")
    pids = processes_of(stopped, 2)

    for pid in (stopped.keeper.pid, *(pids if whole_group else pids[:1])):
        stop(pid)
    wait_gone(pids, KILL_S + SLACK_S)

    again = [cluster.wait_again(token, 2, LEASE_S + 2 + SLACK_S) for token in tokens]
    assert min(silence_s(cluster, token) for token in tokens) > LEASE_S - KILL_S - 0.1
    assert {start.worker for start in again}.isdisjoint(f"process {pid}" for pid in pids)
    assert one_runner(cluster.history()) == []
    os.kill(stopped.keeper.pid, signal.SIGCONT)
    until(lambda: stopped.is_up(2), "the keeper to start another supervisor")
    gate.touch()
    cluster.wait_done(tokens)


def test_the_keeper_starts_another_as_soon_as_a_stopped_supervisor_is_dead(
    cluster: PostgresCluster, gate: Path, tmp_path: Path
) -> None:
    """It was not stopped itself, and its new supervisor finds the old one's lock free: no lease is waited for.

    From its first look on: how long a process takes to start is the machine's, and may be longer than this lease.
    """
    log = tmp_path / "node.log"
    node = cluster.node("mitte", processes=1, concurrency=2, log=log, log_format="json")
    tokens = cluster.tasks.beat.submit_many([str(gate)] * 2)
    cluster.wait_started(tokens)
    pids = processes_of(node, 1)

    stop(pids[0])
    wait_gone(pids, KILL_S + SLACK_S)

    for token in tokens:
        cluster.wait_again(token, 2)
    closed, rescued = (msgspec.json.decode(wait_told(name, log)) for name in ("node.closed", "worker.rescued"))
    assert "proof of life" in closed["evidence"]
    assert at_s(rescued) - at_s(closed) < LEASE_S
    gate.touch()
    cluster.wait_done(tokens)
    assert one_runner(cluster.history()) == []


NAMESPACE = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")


def test_the_keeper_is_process_one_of_a_container_and_its_supervisor_dies_of_the_timer(
    cluster: PostgresCluster, gate: Path
) -> None:
    """The kernel would not kill process 1 that way; the keeper is that, and goes on to reap and to start another."""
    if subprocess.run([*NAMESPACE, "true"], check=False, capture_output=True).returncode != 0:
        pytest.skip("NOT run: no rights to make a pid namespace")
    node = cluster.node("mitte", processes=1, concurrency=1, under=NAMESPACE)
    token = cluster.tasks.beat.submit(str(gate))
    cluster.wait_started([token])
    old = node.supervisor
    (keeper,) = children_of(node.keeper.pid)
    (supervisor,) = children_of(keeper)
    assert Path(f"/proc/{keeper}/status").read_text().partition("NSpid:")[2].split()[:2] == [str(keeper), "1"]

    stop(supervisor)
    wait_gone([supervisor], KILL_S + SLACK_S)

    cluster.wait_again(token, 2)
    assert node.supervisor != old
    assert is_running(keeper)
    gate.touch()
    cluster.wait_done([token])
    assert one_runner(cluster.history()) == []


def test_a_job_that_overran_runs_again_after_its_process(cluster: PostgresCluster, gate: Path) -> None:
    """Its handler cannot be stopped, and no two runs of it may overlap."""
    assert_runs_again_once_its_process_is_gone(cluster, gate)
