"""A supervisor dies or stands still: its workers end with it, others take over, nothing overlaps (P4, P6)."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from rota.app.blocking import drive
from rota.model.state import State
from tests.checkers.history import Killed
from tests.checkers.one_runner import one_runner
from tests.integration.cluster import Cluster, Node, stopped
from tests.processes import is_running
from tests.unit.node.waiting import number_in, until


def workers_of(node: Node, processes: int) -> list[int]:
    return [node.worker(number).pid for number in range(1, processes + 1)]


@pytest.mark.timed
def test_another_node_takes_over_within_a_second(cluster: Cluster, gate: Path) -> None:
    """Its workers die with it; a neighbour on the same host runs their jobs again, from the first millisecond it may."""
    lost = cluster.node("lost", processes=2, concurrency=3)
    tokens = cluster.tasks.wait_for.submit_many([str(gate)] * 6)
    cluster.wait_started(tokens)
    cluster.node("other", processes=1, concurrency=8)
    workers, supervisor = workers_of(lost, 2), lost.supervisor

    for pid in workers:
        cluster.note_kill(pid)
    os.kill(supervisor, signal.SIGKILL)

    again = [cluster.wait_again(token, 2) for token in tokens]
    assert not any(is_running(pid) for pid in workers)
    killed_at = max(event.at for event in cluster.history() if isinstance(event, Killed))
    assert max(start.at for start in again) - killed_at < 1e9
    gate.touch()
    cluster.wait_done(tokens)
    assert one_runner(cluster.history()) == []


def test_the_keeper_starts_another_under_the_same_names(cluster: Cluster, gate: Path) -> None:
    """So each place on the ring is taken again by the same name, and no slot moves for long."""
    node = cluster.node("mitte", processes=2, concurrency=2)
    tokens = cluster.tasks.wait_for.submit_many([str(gate)] * 4)
    cluster.wait_started(tokens)
    supervisor, before = node.supervisor, workers_of(node, 2)

    os.kill(supervisor, signal.SIGKILL)

    until(lambda: node.row and node.supervisor != supervisor and node.is_up(2), "the node to be back")
    assert sorted(worker.name for worker in node.workers) == ["mitte/1", "mitte/2"]
    assert not set(workers_of(node, 2)) & set(before)
    for token in tokens:
        cluster.wait_again(token, 2)
    gate.touch()
    cluster.wait_done(tokens)
    assert one_runner(cluster.history()) == []
    assert {cluster.find(token).crashes for token in tokens} == {0}


def test_a_stopped_supervisor_is_harmless(cluster: Cluster, gate: Path) -> None:
    """Its workers go on and keep what they hold; a worker that died meanwhile is made up for when it goes on."""
    node = cluster.node(processes=2, concurrency=1)
    tokens = cluster.tasks.wait_for.submit_many([str(gate)] * 2)
    cluster.wait_started(tokens)
    victim, survivor = node.worker(1), node.worker(2)

    with stopped(node.supervisor):
        cluster.kill(victim.pid)
        kept = cluster.held()["mitte/2"]
        gate.touch()
        (theirs,) = [token for token in tokens if cluster.starts(token)[0].worker == f"process {survivor.pid}"]
        cluster.wait_done([theirs])

    cluster.wait_done(tokens)
    until(lambda: node.worker(1).pid != victim.pid, "a successor")
    assert len(kept) == 1
    assert len(cluster.starts(theirs)) == 1
    assert node.worker(2).pid == survivor.pid
    assert one_runner(cluster.history()) == []


def test_another_node_makes_up_for_a_stopped_supervisors_dead_worker(cluster: Cluster, gate: Path) -> None:
    """After a second, by the worker's own lock; when the supervisor goes on, it finds that done and nothing overlaps."""
    node = cluster.node("stopped", processes=2, concurrency=1)
    tokens = cluster.tasks.wait_for.submit_many([str(gate)] * 2)
    cluster.wait_started(tokens)
    cluster.node("other", processes=1, concurrency=4)
    victim, survivor = node.worker(1), node.worker(2)
    (orphaned,) = [token for token in tokens if cluster.starts(token)[0].worker == f"process {victim.pid}"]

    with stopped(node.supervisor):
        cluster.kill(victim.pid)
        again = cluster.wait_again(orphaned, 2)

    until(lambda: node.worker(1).pid != victim.pid, "a successor")
    gate.touch()
    cluster.wait_done(tokens)
    assert again.worker not in (f"process {victim.pid}", f"process {survivor.pid}")
    assert [len(cluster.starts(token)) for token in tokens].count(1) == 1
    assert cluster.history_of(orphaned) == ["crashed"]
    assert one_runner(cluster.history()) == []


def test_what_a_handler_started_ends_with_a_lost_node(cluster: Cluster, gate: Path, tmp_path: Path) -> None:
    """Nobody is left to kill the group of a dead supervisor's worker but who rescues it."""
    lost = cluster.node("lost", processes=1)
    note = tmp_path / "child"
    token = cluster.tasks.start_child.submit(str(note), str(gate))
    child = number_in(note, "the handler to start its child")
    cluster.node("other", processes=1)

    os.kill(lost.supervisor, signal.SIGKILL)
    cluster.wait_again(token, 2)

    until(lambda: not is_running(child), "the handler's child to be killed")
    gate.touch()
    cluster.wait_done([token])


def test_everything_goes_on_while_the_orchestrator_is_gone(cluster: Cluster) -> None:
    """Staging, claims and settles need no orchestrator: a job that falls due meanwhile runs on time."""
    holder = cluster.node("holder", processes=1)
    until(lambda: holder.row and cluster.membership().orchestrator == holder.row.id, "the house to be taken")
    cluster.node("other", processes=1)
    due = cluster.tasks.work.options(delay=1.0, key="a customer").submit(0.0)

    os.kill(holder.keeper.pid, signal.SIGSTOP)
    os.kill(holder.supervisor, signal.SIGKILL)

    cluster.wait_done([due], 10)
    assert cluster.states([due]) == [State.SUCCEEDED]
    until(lambda: holder.row is None, "the dead holder to be closed")
    until(lambda: has_living_holder(cluster), "another node to take the house")
    assert [node.name for node in cluster.membership().nodes] == ["other"]


def has_living_holder(cluster: Cluster) -> bool:
    seen = cluster.membership()
    return seen.orchestrator in {node.id for node in seen.nodes}


def test_a_node_drains_when_its_keeper_is_killed(cluster: Cluster, capfd: pytest.CaptureFixture[str]) -> None:
    """Nobody would answer for it any more; what runs may finish, no crash is counted, and the log says why it ended."""
    node = cluster.node(processes=1)
    token = cluster.tasks.work.submit(0.5)
    cluster.wait_started([token])
    supervisor = node.supervisor

    node.keeper.kill()

    until(lambda: not is_running(supervisor), "the supervisor to end")
    assert cluster.states([token]) == [State.SUCCEEDED]
    assert cluster.membership().nodes == []
    log = capfd.readouterr().err
    assert f"keeper.died          pid={node.keeper.pid}" in log
    assert "signal.received" not in log


def test_after_everything_was_lost_at_once_the_next_start_goes_on(cluster: Cluster, gate: Path) -> None:
    """A power cut, or the container was killed: the same names, the same jobs, and nobody to ask."""
    node = cluster.node("mitte", processes=2, concurrency=1)
    tokens = cluster.tasks.wait_for.submit_many([str(gate)] * 2)
    cluster.wait_started(tokens)
    pids = [node.keeper.pid, node.supervisor, *workers_of(node, 2)]
    for pid in pids[:2]:
        os.kill(pid, signal.SIGKILL)
    node.keeper.wait()
    until(lambda: not any(is_running(pid) for pid in pids), "everything to be dead")

    again = cluster.node("mitte", processes=2, concurrency=1)

    for token in tokens:
        cluster.wait_again(token, 2)
    assert sorted(worker.name for worker in again.workers) == ["mitte/1", "mitte/2"]
    gate.touch()
    cluster.wait_done(tokens)
    assert one_runner(cluster.history()) == []


def test_a_node_that_was_closed_by_mistake_begins_anew(cluster: Cluster, gate: Path) -> None:
    """It ends its workers first: others may have begun to run their jobs."""
    node = cluster.node("mitte", processes=1, concurrency=1)
    token = cluster.tasks.wait_for.submit(str(gate))
    cluster.wait_started([token])
    old, worker = until(lambda: node.row, "the node"), node.worker(1)

    drive(cluster.store.close_node(old.id, old.counter))

    again = cluster.wait_again(token, 2)
    assert again.worker != f"process {worker.pid}"
    assert not is_running(worker.pid)
    assert node.row is not None
    assert node.row.id != old.id
    gate.touch()
    cluster.wait_done([token])
    assert one_runner(cluster.history()) == []


@pytest.mark.slow(seconds=11)
def test_a_restored_copy_does_not_wait_for_the_dead_of_the_original(
    cluster: Cluster, gate: Path, tmp_path: Path
) -> None:
    """The copy names workers that never existed where it lies: after ten seconds their jobs are free."""
    cluster.node("original", processes=1, concurrency=1)
    token = cluster.tasks.wait_for.submit(str(gate))
    cluster.wait_started([token])
    drive(cluster.store.backup(str(tmp_path / "copy.db")))
    (tmp_path / "restored").mkdir()
    (tmp_path / "copy.db").rename(tmp_path / "restored" / "shop.db")
    gate.touch()

    restored = Cluster(tmp_path / "restored")
    try:
        restored.node("elsewhere", processes=1)
        restored.wait_done([token])
        assert restored.states([token]) == [State.SUCCEEDED]
    finally:
        restored.close()
