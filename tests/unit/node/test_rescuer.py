"""The rescuer: close, then what was willed, then release until nothing is held; and it insists."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from rota.model.outcome import Kind, Outcome
from rota.node.liveness import FileLocks
from rota.node.processes import SystemProcesses
from rota.node.remains import table_path
from rota.node.rescuer import Rescuer
from rota.runtime.entropy import SystemEntropy
from rota.store.port import Blame
from rota.telemetry.telemetry import Telemetry
from rota.testing.clock import ManualClock
from rota.worker.running import RunningTable
from tests.unit.node.scripted import FAILURE, ScriptedStore, released, worker
from tests.unit.node.waiting import PATIENCE_S

BLAME = Blame(frozenset(), FAILURE)


@pytest.fixture
def store() -> ScriptedStore:
    return ScriptedStore()


@pytest.fixture
def told() -> Telemetry:
    return Telemetry()


@pytest.fixture
def rescuer(store: ScriptedStore, told: Telemetry, tmp_path: Path, clock: ManualClock) -> Rescuer:
    scripted: Any = store
    locks, processes = FileLocks(str(tmp_path), clock), SystemProcesses("", str(tmp_path))
    return Rescuer(scripted, locks, processes, clock=clock, entropy=SystemEntropy(clock), telemetry=told)


async def test_the_row_is_closed_before_anything_is_released(rescuer: Rescuer, store: ScriptedStore) -> None:
    """In calls of their own: a claim in flight is seen only by a release that begins after the close."""
    rescuer.rescue(worker(7, 1), BLAME, ())
    await rescuer.drained()

    assert store.asked == [("close_worker", 7), ("release", 7)]


async def test_releases_go_on_until_nothing_is_held(rescuer: Rescuer, store: ScriptedStore) -> None:
    """The dead worker's last settle may still hold some of its rows."""
    store.releases = [released(b"one", is_complete=False), released(is_complete=False), released(b"two")]

    rescuer.rescue(worker(7, 1), BLAME, ())
    await rescuer.drained()

    assert store.calls("release") == [("release", 7)] * 3


async def test_a_store_that_does_not_answer_is_asked_again(
    rescuer: Rescuer, store: ScriptedStore, told: Telemetry
) -> None:
    """A locked or full database must not leave a dead worker's jobs behind."""
    store.failing = {"close_worker": 3, "release": 3}

    rescuer.rescue(worker(7, 1), BLAME, ())
    await rescuer.drained()

    assert [name for name, *_ in store.asked] == ["close_worker"] * 4 + ["release"] * 4
    assert told.counters["rescue.failed"] == 4


async def test_a_rescue_that_fails_is_told_and_can_be_begun_anew(
    rescuer: Rescuer, store: ScriptedStore, told: Telemetry
) -> None:
    """Nobody awaits it: an error of it would be seen only where nobody looks."""
    store.close_worker = None  # type: ignore[method-assign, assignment]

    closed = rescuer.rescue(worker(7, 1), BLAME, ())
    await rescuer.drained()

    assert told.counters["rescue.failed"] == 1
    assert closed.is_set()
    assert not rescuer.is_at_work_on(7)


async def test_what_was_willed_is_settled_before_the_rest_is_released(
    rescuer: Rescuer, store: ScriptedStore, tmp_path: Path
) -> None:
    """A handler that overran its limit has failed its attempt; its neighbours go back unblamed."""
    table = RunningTable.create(table_path(str(tmp_path), "worker-7"), 1)
    table.mark(0, b"a token, 16 long")
    table.leave_will([Outcome(1, b"a token, 16 long", 3, Kind.FAILED)])

    rescuer.rescue_lost(worker(7, 1), is_node_lost=True)
    await rescuer.drained()

    assert store.asked == [("close_worker", 7), ("settle", 7, [b"a token, 16 long"]), ("release", 7)]
    assert store.blames[0].forgives


async def test_who_was_running_is_read_from_the_dead_workers_table(
    rescuer: Rescuer, store: ScriptedStore, tmp_path: Path
) -> None:
    """What it held but had not begun is no suspect."""
    table = RunningTable.create(table_path(str(tmp_path), "worker-7"), 2)
    table.mark(0, b"a token, 16 long")

    rescuer.rescue_lost(worker(7, 1, is_alone=True), is_node_lost=True)
    await rescuer.drained()

    (blame,) = store.blames
    assert (blame.running, blame.condemns, blame.failure.type) == ({b"a token, 16 long"}, True, "NodeLost")


async def test_without_a_table_all_that_it_held_count(rescuer: Rescuer, store: ScriptedStore) -> None:
    """Nobody can know; and a job that takes a machine down must not loop for ever."""
    rescuer.rescue_lost(worker(7, 1), is_node_lost=True)
    await rescuer.drained()

    assert store.blames[0].running is None


async def test_nothing_is_left_of_a_rescued_worker(rescuer: Rescuer, tmp_path: Path) -> None:
    """Files of the dead would pile up beside the database."""
    RunningTable.create(table_path(str(tmp_path), "worker-7"), 1).leave_will([])
    (tmp_path / "worker-7.lock").touch()

    rescuer.rescue_lost(worker(7, 1), is_node_lost=True)
    await rescuer.drained()

    assert os.listdir(tmp_path) == []


async def test_a_row_of_a_living_process_leaves_its_files(
    rescuer: Rescuer, store: ScriptedStore, tmp_path: Path
) -> None:
    """A worker that registered twice goes by the newer row, and lives."""
    RunningTable.create(table_path(str(tmp_path), "worker-7"), 1)

    rescuer.close_double(worker(7, 1))
    await rescuer.drained()

    assert (tmp_path / "worker-7.table").exists()
    assert store.blames[0].forgives


async def test_a_rescue_that_goes_on_is_not_begun_twice(rescuer: Rescuer, store: ScriptedStore) -> None:
    """The watch looks a hundred times a second while somebody dies."""
    rescuer.rescue(worker(7, 1), BLAME, ())
    again = rescuer.rescue(worker(7, 1), BLAME, ())

    assert rescuer.is_at_work_on(7)
    await asyncio.wait_for(again.wait(), PATIENCE_S)
    await rescuer.drained()
    assert len(store.calls("close_worker")) == 1
    assert not rescuer.is_at_work_on(7)
