"""Ending a node in good order: nothing is lost, doubled, or blamed on anybody (P8)."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from rota.app.node_main import CLOSE_S
from rota.app.token import Token
from rota.model.state import State
from rota.model.token import token_from_text
from rota.node.asked import TOGETHER_S
from rota.node.order import NodeOrder
from rota.node.supervisor import AT_ONCE_S
from scripts.postgres_server import reserved_port
from tests.checkers.history import Started
from tests.checkers.one_runner import one_runner
from tests.integration.cluster import Cluster, Node
from tests.integration.test_crash_writes import STRANGER
from tests.processes import children_of, is_running
from tests.unit.node.waiting import PATIENCE_S, until

KEEPER = """
import sys, msgspec
from rota.node.keeper import Keeper
from rota.node.order import NodeOrder
from rota.telemetry.telemetry import Telemetry
order = msgspec.json.decode(sys.argv[1], type=NodeOrder)
sys.exit(Keeper(order, "rota.app.node_main", Telemetry()).run())
"""


@contextlib.contextmanager
def locked_by_a_stranger(cluster: Cluster) -> Iterator[None]:
    """Have another process lock the database for as long as the block lasts."""
    argv = [sys.executable, "-c", STRANGER, str(cluster.path), "600"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as stranger:
        try:
            assert stranger.stdout is not None
            assert stranger.stdout.readline() == b"locked\n"
            yield
        finally:
            stranger.kill()


def test_a_drain_lets_running_jobs_finish_and_starts_no_more(cluster: Cluster, gate: Path) -> None:
    """The rest waits in its place, as if nobody had looked at it."""
    node = cluster.node(processes=1, concurrency=1)
    running = cluster.tasks.wait_for.submit(str(gate))
    cluster.wait_started([running])
    waiting = cluster.tasks.work.submit_many([0.0] * 20)
    pid = node.worker(1).pid

    node.keeper.send_signal(signal.SIGTERM)
    until(lambda: node.worker(1).is_draining, "the worker to leave the ring")
    gate.touch()

    assert node.keeper.wait(PATIENCE_S) == 0
    assert cluster.states([running]) == [State.SUCCEEDED]
    assert set(cluster.states(waiting)) == {State.WAITING}
    assert cluster.membership().nodes == []
    assert cluster.membership().workers == []
    assert not is_running(pid)


def test_what_does_not_finish_within_the_grace_goes_back_uncounted(cluster: Cluster, gate: Path) -> None:
    """A handler in a thread cannot be stopped: its process is, and the job has neither attempt nor crash."""
    node = cluster.node(processes=1, grace_s=0.3)
    tokens = [cluster.tasks.wait_for.submit(str(gate)), cluster.tasks.work_async.submit(600.0)]
    cluster.wait_started(tokens)

    assert node.stop() == 0

    rows = [cluster.find(token) for token in tokens]
    assert [(row.state, row.attempts, row.crashes) for row in rows] == [(State.WAITING, 0, 0)] * 2
    assert not any("crashed" in cluster.history_of(token) for token in tokens)


def asked_to_drain(cluster: Cluster, gate: Path) -> tuple[Node, Token[Any]]:
    """Return a node that was told once to end, long enough ago for another signal, and the job for which it waits a minute."""
    node = cluster.node(processes=2, grace_s=60.0)
    token = cluster.tasks.wait_for.submit(str(gate))
    cluster.wait_started([token])
    node.keeper.send_signal(signal.SIGTERM)
    until(lambda: all(worker.is_draining for worker in node.workers), "the workers to drain")
    heard = time.monotonic()
    until(lambda: time.monotonic() > heard + TOGETHER_S, "the next signal to be another one")
    return node, token


def test_a_second_signal_ends_at_once(cluster: Cluster, gate: Path) -> None:
    """Within the grace of a minute, and still nobody is blamed."""
    node, token = asked_to_drain(cluster, gate)

    node.keeper.send_signal(signal.SIGTERM)

    assert node.keeper.wait(PATIENCE_S) == 0
    row = cluster.find(token)
    assert (row.state, row.attempts, row.crashes) == (State.WAITING, 0, 0)
    assert "crashed" not in cluster.history_of(token)
    assert cluster.membership().nodes == []


@pytest.mark.slow(seconds=9)
@pytest.mark.timed
def test_a_second_signal_ends_a_node_whose_store_is_locked(cluster: Cluster, gate: Path) -> None:
    """Whoever stops a machine does not wait for a stranger's lock; the next start gives back what was held, uncounted."""
    node, token = asked_to_drain(cluster, gate)

    with locked_by_a_stranger(cluster):
        asked = time.monotonic()
        node.keeper.send_signal(signal.SIGTERM)
        code = node.keeper.wait(30)
        seconds = time.monotonic() - asked

    assert code == 0
    assert seconds < AT_ONCE_S + CLOSE_S + 3.0
    cluster.node("next", processes=1)
    cluster.wait_again(token, 2)
    assert (cluster.find(token).attempts, cluster.find(token).crashes) == (0, 0)
    (entry,) = cluster.ask(cluster.store.history(token_from_text(str(token))))
    assert entry.failure is not None, "it ran, and its worker was drained: that it had not started would be wrong"
    assert (entry.kind, entry.failure.blames_nobody) == ("released", True)


@pytest.mark.slow(seconds=6)
def test_a_deploy_under_load_loses_and_doubles_nothing(cluster: Cluster) -> None:
    """Drain the old, start the new, three times, while jobs are handed in all the time."""
    node = cluster.node("old", processes=2, grace_s=10.0)
    tokens = []
    for number in range(3):
        tokens += cluster.tasks.work.submit_many([0.002] * 150)
        tokens += cluster.tasks.work.options(key=f"key {number}").submit_many([0.002] * 30)
        until(lambda: len(cluster.ends()) > 20 + 180 * number, "some of them to be done")  # noqa: B023
        assert node.stop() == 0
        node = cluster.node(f"new {number}", processes=2, grace_s=10.0)

    cluster.wait_done(tokens, 60)
    history = cluster.history()
    starts = [event for event in history if isinstance(event, Started)]
    assert set(cluster.states(tokens)) == {State.SUCCEEDED}
    assert len(starts) == len(tokens)
    assert one_runner(history) == []


def test_a_node_that_cannot_load_its_app_gives_up(cluster: Cluster) -> None:
    """A person must mend it; starting for ever would only fill the log."""
    cluster.app_name = "tests.integration.no_such_module"

    node = cluster.start("broken", processes=2)

    assert node.keeper.wait(30) == 78


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_node_whose_store_is_away_ends_when_it_is_asked_to(tmp_path: Path, number: signal.Signals) -> None:
    """It waits for its server, for ever if it was up before: whoever stops it then must not have to wait as well."""
    log = tmp_path / "log"
    with reserved_port() as nobody:
        url = f"postgresql://shop@127.0.0.1:{nobody.getsockname()[1]}/shop"
        order = NodeOrder(store=url, app="shop:app", name="mitte", is_again=True)
        with log.open("wb") as written:
            keeper = subprocess.Popen(
                [sys.executable, "-c", KEEPER, msgspec.json.encode(order)],
                stderr=written,
                env={**os.environ, "TMPDIR": str(tmp_path)},
            )
        try:
            until(lambda: "store.lost" in log.read_text(), "the store to be missed")

            keeper.send_signal(number)

            assert keeper.wait(PATIENCE_S) == 0
        finally:
            for process in [*children_of(keeper.pid), keeper.pid]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
            keeper.wait()
    assert f"signal.received      signal={int(number)} " in log.read_text()
