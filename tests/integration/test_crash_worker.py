"""A worker process dies, by any means: what it held runs again soon, and nobody else is disturbed (P4, P6, P7)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from rota.model.state import State
from rota.store.port import WorkerRow
from tests.checkers.history import History, Killed
from tests.checkers.one_runner import one_runner
from tests.checkers.recovery import recovery
from tests.checkers.runs import by_token, runs_of
from tests.integration.cluster import Cluster, assert_runs_again_once_its_process_is_gone, resume, stop
from tests.integration.crash_app import DEATHS
from tests.processes import is_running
from tests.unit.node.waiting import PATIENCE_S, number_in, until


@pytest.mark.parametrize("how", sorted(DEATHS))
def test_a_job_whose_process_died_runs_again(cluster: Cluster, tmp_path: Path, how: str) -> None:
    """Whatever a handler does to its process, the job is not lost; one crash is counted, no attempt."""
    cluster.node(processes=2)

    token = cluster.tasks.die_once.submit(how, str(tmp_path / "mark"))

    assert token.result(timeout=PATIENCE_S) > 0
    first, second = cluster.starts(token)
    assert first.worker != second.worker
    assert second.fence > first.fence
    assert cluster.history_of(token) == ["crashed"]
    assert one_runner(cluster.history()) == []


def test_only_the_dead_workers_jobs_move(cluster: Cluster, gate: Path) -> None:
    """The rows of every other worker are the same before and after: same jobs, same fences."""
    node = cluster.node(processes=3, concurrency=2)
    tokens = cluster.tasks.wait_for.submit_many([str(gate)] * 6)
    cluster.wait_started(tokens)
    before = cluster.held()
    victim = node.worker(1)
    moved = {token for token, _ in before["mitte/1"]}

    cluster.kill(victim.pid)
    until(lambda: node.worker(1).pid != victim.pid, "a successor in the same place")
    until(
        lambda: {token for held in cluster.held().values() for token, _ in held} >= moved, "its jobs to be held again"
    )

    after = cluster.held()
    assert after["mitte/2"] == before["mitte/2"]
    assert after["mitte/3"] == before["mitte/3"]
    assert {token for token, _ in after["mitte/1"]} == moved
    gate.touch()
    cluster.wait_done(tokens)
    assert one_runner(cluster.history()) == []


@pytest.mark.timed
def test_those_with_free_hands_take_over_at_once(cluster: Cluster, gate: Path) -> None:
    """Within a second, not after a lease: the supervisor has seen the process end."""
    node = cluster.node(processes=2, concurrency=8)
    tokens = cluster.tasks.wait_for.submit_many([str(gate)] * 6)
    cluster.wait_started(tokens)
    victim = max(node.workers, key=lambda worker: len(cluster.held()[worker.name]))

    cluster.kill(victim.pid)

    in_flight = [token for token in tokens if cluster.starts(token)[0].worker == f"process {victim.pid}"]
    for token in in_flight:
        cluster.wait_again(token, 2)
    gate.touch()
    cluster.wait_done(tokens)
    measured = recovery(cluster.history(), seconds_max=1.0)
    assert len(measured.seconds) == len(in_flight) > 0
    assert measured.broken == []


def test_a_killed_workers_own_children_are_killed_with_it(cluster: Cluster, gate: Path, tmp_path: Path) -> None:
    """A program that a handler had started must not go on beside the second run."""
    node = cluster.node(processes=1)
    note = tmp_path / "child"
    token = cluster.tasks.start_child.submit(str(note), str(gate))
    child = number_in(note, "the handler to start its child")

    cluster.kill(node.worker(1).pid)
    cluster.wait_again(token, 2)

    assert not is_running(child)
    gate.touch()
    cluster.wait_done([token])


def test_a_handler_that_overran_is_recycled_and_nobody_blamed(cluster: Cluster, gate: Path) -> None:
    """Its own attempt failed for its time limit; its neighbours go back to their places."""
    node = cluster.node(processes=1, timeout_grace_s=0.2, grace_s=0.3)
    old = node.worker(1).pid
    neighbour = cluster.tasks.wait_for.submit(str(gate))
    cluster.wait_started([neighbour])
    overrun = cluster.tasks.overrun.submit(str(gate.with_name("never")))

    cluster.wait_done([overrun])
    cluster.wait_again(neighbour, 2)
    gate.touch()
    cluster.wait_done([neighbour])

    assert node.worker(1).pid != old
    failed, done = cluster.find(overrun), cluster.find(neighbour)
    assert failed.state is State.FAILED
    assert failed.failure is not None
    assert "time limit" in failed.failure.message
    assert (done.state, done.crashes) == (State.SUCCEEDED, 0)
    assert "crashed" not in cluster.history_of(neighbour)
    assert one_runner(cluster.history()) == []


def test_a_job_that_overran_runs_again_as_soon_as_its_process_is_gone(cluster: Cluster, gate: Path) -> None:
    """Nobody else is there to be waited for, however long the grace."""
    assert_runs_again_once_its_process_is_gone(cluster, gate)


@pytest.mark.slow(seconds=5)
@pytest.mark.timed
def test_many_kills_under_load_lose_and_double_nothing(cluster: Cluster) -> None:
    """Ten kills during 4,000 short jobs or more, a third of the first with one of 50 keys.

    Nobody has free hands here, and at times both workers are being started.
    """
    node = cluster.node(processes=2, concurrency=8)
    work = cluster.tasks.work
    tokens = list(work.submit_many([0.005] * 2_600))
    for number in range(50):
        tokens += work.options(key=f"customer {number}").submit_many([0.005] * 28)

    def feed() -> None:
        if cluster.waiting() < 1_000:
            tokens.extend(work.submit_many([0.005] * 1_000))

    for number in range(10):
        kill_at_work(cluster, node.worker(number % 2 + 1), after=300 * (number + 1), feed=feed)

    cluster.wait_done(tokens, 90)
    history = cluster.history()
    assert set(cluster.states(tokens)) == {State.SUCCEEDED}
    assert one_runner(history) == []
    assert recovery(history, seconds_max=10.0).broken == []


@pytest.mark.slow(seconds=3)
@pytest.mark.timed
def test_where_all_hands_are_busy_what_was_running_comes_first(cluster: Cluster) -> None:
    """Before thousands that wait, whatever slot it is in: a slot's turn may come after a minute."""
    node = cluster.node(processes=3, concurrency=2)
    cluster.tasks.work.submit_many([0.01] * 10_000)

    kill_at_work(cluster, node.worker(1), after=100)
    until(lambda: recovery(cluster.history(), seconds_max=60.0).broken == [], "what was running to run again")

    measured = recovery(cluster.history(), seconds_max=1.0)
    assert 0 < len(measured.seconds) <= 2
    assert cluster.waiting() > 1_000
    assert measured.broken == []


def is_made_up_for(history: History) -> bool:
    """Whether every job that a killed worker had begun has been done."""
    killed = {event.worker for event in history if isinstance(event, Killed)}
    jobs = by_token(runs_of(history)).values()
    return all(runs[-1].has_ended for runs in jobs if any(run.worker in killed for run in runs))


def kill_at_work(cluster: Cluster, victim: WorkerRow, after: int, feed: Callable[[], None] = lambda: None) -> None:
    """Kill a worker that is running something, once so many jobs are done: each kill meets other jobs.

    It is stopped first, and looked at: what is seen to run may have ended before the kill comes. Whoever is kept from looking
    may find all jobs done, so ``feed`` is called before each look. What met two kills would run alone, one after the other,
    each in a process of its own: so what an earlier kill cut off is done first.
    """
    table = cluster.table(victim)
    until(lambda: len(cluster.ends()) >= after, f"{after} jobs to be done")
    until(lambda: is_made_up_for(cluster.history()), "what was cut off before to be done")

    def is_stopped_at_work() -> bool:
        feed()
        if not table.running():
            return False
        stop(victim.pid)
        runs = runs_of(cluster.history())
        if any(run.worker == f"process {victim.pid}" and not run.has_ended for run in runs):
            return True
        resume(victim.pid)
        return False

    until(is_stopped_at_work, "the victim to be stopped at work")
    cluster.kill(victim.pid)
    until(lambda: not is_running(victim.pid), "the victim to be dead")
