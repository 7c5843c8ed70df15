"""A loop that user code blocks."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from rota.errors import OutcomeUnknownError
from rota.model.outcome import Outcome
from rota.model.state import State
from rota.runtime.clock import SystemClock
from rota.store.port import Settled
from rota.worker.guard import LoopGuard
from tests.unit.worker.kitchen import Kitchen


def blocking(release: threading.Event) -> None:
    """Stand still on the loop until released, as user code does that calls something slow without `await`."""
    assert release.wait(60)


async def test_a_loop_that_turns_is_left_alone() -> None:
    """However many jobs wait in it: they are about to be started."""
    looked = threading.Event()
    told: list[float] = []

    class Waiting(list[int]):
        def __bool__(self) -> bool:
            looked.set()
            return True

    guard = LoopGuard(SystemClock(), Waiting(), told.append)
    beats_before = guard._beats
    guard.start()
    until = time.monotonic() + 60
    while guard._beats < beats_before + 6 and time.monotonic() < until:
        await asyncio.sleep(0.01)
    guard.stop()

    assert guard._beats >= beats_before + 6
    assert told == []


async def test_a_blocked_loop_is_noticed_when_jobs_wait_in_it() -> None:
    release = threading.Event()
    told: list[float] = []

    def give_back(seconds: float) -> None:
        told.append(seconds)
        release.set()

    guard = LoopGuard(SystemClock(), [1], give_back)
    guard.start()
    await asyncio.sleep(0)

    blocking(release)
    guard.stop()

    assert told
    assert told[0] >= 0.4


async def test_jobs_that_wait_behind_a_blocked_loop_are_run_by_others() -> None:
    """They go back while it is still blocked, and their claims rows do not stay behind."""
    release = threading.Event()
    seen_waiting: list[bool] = []

    started = threading.Event()

    async def hog() -> None:
        started.set()
        blocking(release)

    async def echo() -> None: ...

    kitchen = Kitchen.of(hog, echo)
    tokens = await kitchen.submit(hog)
    others = await kitchen.submit(echo, 5)
    worker = await kitchen.worker(concurrency=1, guarded=True)
    station = await worker._register()
    me, queues, tasks = await ids(kitchen)
    jobs = (await kitchen.store.claim(me, queues["ovens"], range(1024), 6, tasks=tasks)).jobs
    hog_first = sorted(jobs, key=lambda job: job.token != tokens[0])

    def until_back() -> None:
        assert started.wait(60)
        station.loop_blocked(0.5)
        seen_waiting.append(not station.hands.todo)
        release.set()

    settling = asyncio.create_task(station.settler.run())
    station.holdings.take(jobs)
    station.hands.take(list(hog_first))
    side = threading.Thread(target=until_back)
    side.start()
    await kitchen.until_settled(tokens)
    await station.settler.drained()
    side.join()
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    states = await kitchen.store.states(tokens + others)
    assert seen_waiting == [True]
    assert states[tokens[0]] is State.SUCCEEDED
    assert {states[token] for token in others} == {State.WAITING}
    assert station.given_back == len(others)
    assert station.holdings.jobs == {}
    settling.cancel()
    await station.hands.close()


@pytest.mark.parametrize("error", [OutcomeUnknownError("the reply was lost"), MemoryError(), RuntimeError("planted")])
async def test_what_may_or_may_not_have_been_given_back_is_not_started(error: Exception) -> None:
    """Another worker may run it by now: the loop gives it back, again, once it turns."""
    ran: list[int] = []

    async def echo() -> None:
        ran.append(1)

    def lost(worker: int, outcomes: list[Outcome]) -> Settled:
        raise error

    kitchen = Kitchen.of(echo)
    tokens = await kitchen.submit(echo, 3)
    worker = await kitchen.worker(concurrency=1)
    worker._give_back = lost  # type: ignore[assignment]
    station = await worker._register()
    me, queues, tasks = await ids(kitchen)
    jobs = (await kitchen.store.claim(me, queues["ovens"], range(1024), 3, tasks=tasks)).jobs
    station.holdings.take(jobs)
    station.hands.todo.extend(jobs)

    side = threading.Thread(target=station.loop_blocked, args=(0.5,))
    side.start()
    side.join()
    settling = asyncio.create_task(station.settler.run())
    await kitchen.until(lambda: station.given_back == 3)
    await station.settler.drained()
    settling.cancel()

    rows = [await kitchen.store.find(token) for token in tokens]
    assert ran == []
    assert {(row.state, row.holder, row.attempts) for row in rows if row is not None} == {(State.WAITING, None, 0)}
    assert not station.hands.todo


async def test_a_worker_whose_loop_is_blocked_gives_back_by_itself() -> None:
    """The whole of it, as it runs in a process."""
    release = threading.Event()
    kitchen = Kitchen.of()

    async def hog() -> None:
        until = time.monotonic() + 30
        while not kitchen.telemetry.counters["loop.blocked"] and time.monotonic() < until:
            release.wait(0.005)

    kitchen = Kitchen.of(hog)
    worker = await kitchen.worker(concurrency=1, guarded=True)
    station = await worker._register()
    tokens = await kitchen.submit(hog, 4)
    me, queues, tasks = await ids(kitchen)
    jobs = (await kitchen.store.claim(me, queues["ovens"], range(1024), 4, tasks=tasks)).jobs
    station.holdings.take(jobs)
    working = asyncio.create_task(worker._work_at(station))
    await kitchen.until(lambda: any(thread.name == "rota-guard" for thread in threading.enumerate()))
    station.hands.take(list(jobs))

    await kitchen.until_settled(tokens)
    worker.drain()
    await working

    assert kitchen.telemetry.counters["loop.blocked"] == 1
    assert station.given_back == 3
    assert set((await kitchen.store.states(tokens)).values()) == {State.SUCCEEDED}


async def ids(kitchen: Kitchen) -> tuple[int, dict[str, int], list[int]]:
    """Return the numbers of the only worker, of the queues and of the tasks."""
    me = (await kitchen.store.membership()).workers[0].id
    queues, tasks = await kitchen.store.intern(["ovens"], sorted(kitchen.specs))
    return me, dict(queues), list(tasks.values())
