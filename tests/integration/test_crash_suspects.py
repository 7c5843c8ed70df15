"""Who kills is found alone; who only stood beside is not blamed; nothing crashes for ever (P8)."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from rota.model.state import State
from tests.checkers.one_runner import one_runner
from tests.integration.cluster import Cluster
from tests.unit.node.waiting import until


def test_a_killer_is_found_alone_and_its_neighbours_go_free(cluster: Cluster, gate: Path) -> None:
    """Two long innocent jobs beside a killer end well, with no crash counted in the end."""
    cluster.node(processes=1, concurrency=3)
    done = gate.with_name("done")
    innocent = [cluster.tasks.wait_for.submit(str(done)) for _ in range(2)]
    killer = cluster.tasks.kill_when.submit(str(gate), "kill")
    cluster.wait_started([killer, *innocent])

    gate.touch()
    until(lambda: all(cluster.history_of(token).count("crashed") == 2 for token in innocent), "two crashes in company")
    done.touch()
    cluster.wait_done([killer, *innocent])

    condemned = cluster.find(killer)
    assert condemned.state is State.FAILED
    assert condemned.failure is not None
    assert condemned.failure.type == "WorkerCrashed"
    assert "signal 9 (SIGKILL)" in condemned.failure.message
    assert "the killer was here" in condemned.failure.message
    assert len(cluster.starts(killer)) == 3
    assert [(row.state, row.crashes) for row in map(cluster.find, innocent)] == [(State.SUCCEEDED, 0)] * 2
    assert one_runner(cluster.history()) == []


def test_a_killer_stops_killing_after_three_processes(cluster: Cluster, gate: Path) -> None:
    """Twice in company, once alone: then it is a dead letter, and the node works on."""
    cluster.node(processes=2)
    gate.touch()

    killers = [cluster.tasks.kill_when.submit(str(gate), how) for how in ("segfault", "exit 0", "exit 75")]
    cluster.wait_done(killers, 120)
    after = cluster.tasks.work.submit(0.0)
    cluster.wait_done([after])

    assert set(cluster.states(killers)) == {State.FAILED}
    assert all(len(cluster.starts(token)) <= 3 for token in killers)
    assert cluster.states([after]) == [State.SUCCEEDED]


def test_a_job_that_takes_the_whole_node_down_does_not_loop(cluster: Cluster, gate: Path) -> None:
    """A lost node counts as a crash for what was running on it."""
    node = cluster.node(processes=1, concurrency=1)
    token = cluster.tasks.wait_for.submit(str(gate))

    for times in (1, 2, 3):
        cluster.wait_again(token, times)
        os.kill(node.supervisor, signal.SIGKILL)
        wait_blamed(cluster, token, times)

    row = cluster.find(token)
    assert row.state is State.FAILED
    assert row.failure is not None
    assert row.failure.type == "NodeLost"


def test_a_suspect_of_a_paused_queue_waits(cluster: Cluster, tmp_path: Path) -> None:
    """Pausing is for suspects, too; afterwards it runs alone and is acquitted."""
    from rota.app.blocking import drive

    cluster.node(processes=1, concurrency=1)
    mark = tmp_path / "mark"
    token = cluster.tasks.die_twice.submit("abort", str(mark))
    until(lambda: cluster.find(token).is_alone or cluster.is_done(token), "the job to be a suspect")
    drive(cluster.store.set_paused("default", True))
    drive(cluster.store.set_paused("default", False))

    cluster.wait_done([token])

    row = cluster.find(token)
    assert (row.state, row.crashes) == (State.SUCCEEDED, 0)


def wait_blamed(cluster: Cluster, token: object, times: int) -> None:
    """Wait until so many crashes are in the job's history, or it has been condemned."""
    until(lambda: cluster.history_of(token).count("crashed") == times or cluster.is_done(token), "the blame")
