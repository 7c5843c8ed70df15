"""The isolator: one suspect at a time, none that this node cannot run, and no running in vain."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from rota.node.fenced import NotNowError
from rota.node.isolator import Isolator
from rota.node.process import Ending
from rota.runtime.entropy import SystemEntropy
from rota.store.port import AloneRow
from rota.testing.clock import ManualClock
from tests.unit.node.scripted import ScriptedStore, worker
from tests.unit.node.virtual import VirtualLoop
from tests.unit.node.waiting import PATIENCE_S

SUSPECT = AloneRow(b"a token, 16 long", "mail", "send")


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    """Time passes when nobody has anything to do: no machine is so slow that a wait is over before it was looked at."""
    with asyncio.Runner(loop_factory=VirtualLoop) as made:
        yield made


class Process:
    """A process that ends at once; what it does to the suspects is the test's business."""

    async def ended(self) -> Ending:
        return Ending(0, None, 0, 0.1)


class Crew:
    node_id = 1
    node = "node1"

    def __init__(self, store: ScriptedStore, *, runs_it: bool) -> None:
        self.started: list[str] = []
        self._store = store
        self._runs_it = runs_it

    def start(self, name: str, *, is_alone: bool = False) -> Process:
        assert is_alone
        self.started.append(name)
        if self._runs_it:
            self._store.suspects.pop()
        return Process()

    def dismiss(self, process: Process) -> None:
        """Do nothing."""


class NoRescuer:
    async def make_up_for(self, process: Process, ending: Ending, *, is_alone: bool) -> bool:
        assert is_alone
        return True

    async def drained(self) -> None:
        """Do nothing."""


async def kept(store: ScriptedStore, crew: Crew, looks: int) -> None:
    """Keep isolating until the suspects were looked at so often."""
    parts: Any = (store, crew, NoRescuer())
    ending = asyncio.Event()
    isolator = Isolator(*parts, entropy=SystemEntropy(ManualClock()), ending=ending)
    task = asyncio.create_task(isolator.keep())
    while len(store.calls("alone")) < looks:
        isolator.notice()
        await asyncio.sleep(0)
    ending.set()
    isolator.notice()
    await asyncio.wait_for(task, PATIENCE_S)


async def test_each_suspect_gets_a_process_of_its_own() -> None:
    """One after another: each may take the machine's memory with it."""
    store = ScriptedStore()
    store.workers, store.suspects = [worker(11, 1)], [SUSPECT] * 3
    crew = Crew(store, runs_it=True)

    await kept(store, crew, 7)

    assert crew.started == ["node1/alone"] * 3


async def test_a_suspect_that_no_worker_here_could_run_is_left_to_others() -> None:
    """Another queue, or a task of a newer release."""
    store = ScriptedStore()
    store.workers = [worker(11, 1), worker(21, 2)]
    store.suspects = [AloneRow(b"another token 16", "reports", "send"), AloneRow(b"yet another of16", "mail", "shred")]
    crew = Crew(store, runs_it=True)

    await kept(store, crew, 4)

    assert crew.started == []


async def test_a_hundred_that_only_others_could_run_hide_none() -> None:
    """The list of suspects is short, and older ones come first on it."""
    store = ScriptedStore()
    store.workers = [worker(11, 1)]
    store.suspects = [*[AloneRow(b"yet another of16", "mail", "shred")] * 100, SUSPECT]
    crew = Crew(store, runs_it=True)

    await kept(store, crew, 6)

    assert crew.started == ["node1/alone"]


async def test_what_is_known_of_the_workers_outlives_them() -> None:
    """The killer took the only worker; who could run it alone is known from before."""
    store = ScriptedStore()
    store.workers, store.suspects = [worker(11, 1)], [SUSPECT, SUSPECT]
    crew = Crew(store, runs_it=True)
    crew_start = crew.start

    def start(name: str, *, is_alone: bool = False) -> Process:
        store.workers = []
        return crew_start(name, is_alone=is_alone)

    crew.start = start  # type: ignore[method-assign]
    await kept(store, crew, 5)

    assert len(crew.started) == 2


async def test_a_process_that_found_nothing_is_not_started_over_and_over() -> None:
    """Its queue is paused, or another node was quicker: each start costs more than many looks."""
    store = ScriptedStore()
    store.workers, store.suspects = [worker(11, 1)], [SUSPECT]
    crew = Crew(store, runs_it=False)
    parts: Any = (store, crew, NoRescuer())
    ending = asyncio.Event()
    isolator = Isolator(*parts, entropy=SystemEntropy(ManualClock()), ending=ending)
    task = asyncio.create_task(isolator.keep())

    for _ in range(100):
        await asyncio.sleep(0)
    started = len(crew.started)
    ending.set()
    isolator.notice()
    await asyncio.wait_for(task, PATIENCE_S)

    assert started == 1


async def test_a_node_whose_lease_is_not_good_is_in_no_trouble() -> None:
    """None may be started then; it is tried again after a look, and nothing has failed."""
    store = ScriptedStore()
    store.workers, store.suspects = [worker(11, 1)], [SUSPECT]
    crew = Crew(store, runs_it=True)
    crew_start, refused = crew.start, list[str]()

    def start(name: str, *, is_alone: bool = False) -> Process:
        if not refused:
            refused.append(name)
            raise NotNowError("the lease is not good")
        return crew_start(name, is_alone=is_alone)

    crew.start = start  # type: ignore[method-assign]
    await kept(store, crew, 5)

    assert refused == crew.started == ["node1/alone"]
