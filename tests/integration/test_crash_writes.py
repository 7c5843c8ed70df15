"""Writes that stand still, and a database that others lock: the one is ended, the other is waited for."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from rota.app.write_lock import holds_write_lock
from rota.model.state import State
from rota.store.port import WorkerRow
from tests.integration.cluster import Cluster, resume, stop, wait_told
from tests.processes import is_running
from tests.unit.node.waiting import until

STRANGER = """
import sys, time, apsw
db = apsw.Connection(sys.argv[1])
db.set_busy_timeout(10_000)
db.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
time.sleep(float(sys.argv[2]))
db.execute("COMMIT")
"""


def freeze_in_a_write(cluster: Cluster, worker: WorkerRow, feed: Callable[[], None]) -> None:
    """Stop a worker at a moment when it is in a write; try until the moment was met, and feed it before each try.

    Its mark outlives the lock by an instant: stopped in that instant it harms nobody, and is rightly left alone.
    """
    table = cluster.table(worker)

    def is_frozen() -> bool:
        feed()
        if not table.write_since_ns:
            return False
        stop(worker.pid)
        if table.write_since_ns and holds_write_lock(worker.pid, str(cluster.path)):
            return True
        resume(worker.pid)
        return False

    until(is_frozen, "the worker to be stopped in a write", 30)


@pytest.mark.slow(seconds=6)
@pytest.mark.timed
def test_a_worker_frozen_in_a_write_is_killed(cluster: Cluster, tmp_path: Path) -> None:
    """It holds the lock that everybody needs: two seconds, and one for looking."""
    log = tmp_path / "node.log"
    node = cluster.node(processes=2, log=log, log_format="json")
    victim = node.worker(1)
    tiny, tokens = cluster.tasks.tiny, []

    def feed() -> None:
        if cluster.waiting() < 1_000:
            for key in "abcdefghijkl":
                tokens.extend(tiny.options(key=key).submit_many([tiny.call()] * 250))

    freeze_in_a_write(cluster, victim, feed)
    until(lambda: not is_running(victim.pid), "the frozen worker to be killed", 10)

    told = msgspec.json.decode(wait_told("worker.write_stuck", log))
    assert told["pid"] == victim.pid
    assert 2.0 <= told["seconds"] < 3.0
    cluster.wait_done(tokens, 40)
    assert set(cluster.states(tokens)) == {State.SUCCEEDED}


def test_a_worker_stopped_outside_of_a_write_is_left_alone(cluster: Cluster, gate: Path) -> None:
    """It may go on at any moment, and then it still holds what it held."""
    node = cluster.node(processes=1, concurrency=1)
    token = cluster.tasks.wait_for.submit(str(gate))
    cluster.wait_started([token])
    worker = node.worker(1)
    table = cluster.table(worker)

    def is_stopped_idle() -> bool:
        stop(worker.pid)
        if not table.write_since_ns:
            return True
        resume(worker.pid)
        return False

    until(is_stopped_idle, "the worker to be stopped outside of a write")
    probe = cluster.node("other", processes=1)
    looks = [cluster.tasks.work.submit(0.3) for _ in range(10)]
    cluster.wait_done(looks)

    resume(worker.pid)
    gate.touch()
    cluster.wait_done([token])

    assert len(cluster.starts(token)) == 1
    assert probe.is_up(1)


@pytest.mark.slow(seconds=7)
def test_a_database_locked_by_a_stranger_kills_nobody(cluster: Cluster) -> None:
    """Three times the limit of a write, under the same limit: whoever waits for the lock is not in a write."""
    node = cluster.node(processes=2)
    first = cluster.tasks.work.submit(0.0)
    cluster.wait_done([first])
    before = (node.supervisor, [worker.pid for worker in node.workers])

    stranger = subprocess.Popen([sys.executable, "-c", STRANGER, str(cluster.path), "6"], stdout=subprocess.PIPE)
    try:
        assert stranger.stdout is not None
        assert stranger.stdout.readline() == b"locked\n"
        token = cluster.tasks.work.submit(0.0)
    finally:
        stranger.wait()
        assert stranger.stdout is not None
        stranger.stdout.close()

    cluster.wait_done([token])
    assert cluster.states([token]) == [State.SUCCEEDED]
    assert (node.supervisor, [worker.pid for worker in node.workers]) == before


def test_a_crash_while_the_database_is_locked_is_made_up_for_afterwards(cluster: Cluster, gate: Path) -> None:
    """The supervisor insists; it neither dies of it nor forgets."""
    node = cluster.node(processes=1, concurrency=1)
    token = cluster.tasks.wait_for.submit(str(gate))
    cluster.wait_started([token])
    supervisor, victim = node.supervisor, node.worker(1).pid

    stranger = subprocess.Popen([sys.executable, "-c", STRANGER, str(cluster.path), "600"], stdout=subprocess.PIPE)
    try:
        assert stranger.stdout is not None
        assert stranger.stdout.readline() == b"locked\n"
        cluster.kill(victim)
        until(lambda: not is_running(victim), "the worker to be dead")
    finally:
        stranger.send_signal(signal.SIGKILL)
        stranger.wait()
        assert stranger.stdout is not None
        stranger.stdout.close()

    cluster.wait_again(token, 2)
    gate.touch()
    cluster.wait_done([token])
    assert node.supervisor == supervisor
    assert os.path.exists(cluster.path)
