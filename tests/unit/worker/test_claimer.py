"""What a worker claims, and when it looks."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rota.errors import StoreBrokenError, StoreFullError
from rota.model.job import NewJob
from rota.model.slot import hash16, slot_of
from rota.model.state import State
from rota.runtime.clock import SystemClock
from rota.store.port import NewNode, Store
from rota.worker.claimer import Claimer
from rota.worker.order import CLOSED, DRAINED
from rota.worker.running import RunningTable, counts_in
from tests.faults import Fault, FaultyStore, ScriptedPlan
from tests.unit.worker.kitchen import Kitchen


async def echo() -> None: ...


class Rounds:
    """Counts a claimer's rounds."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        original = Claimer._round

        async def counted(claimer: Claimer) -> bool:
            self.count += 1
            return await original(claimer)

        monkeypatch.setattr(Claimer, "_round", counted)

    async def within(self, seconds: float) -> int:
        """Return how many rounds there are within so many seconds."""
        before = self.count
        await asyncio.sleep(seconds)
        return self.count - before


class Raising:
    """A store some of whose methods raise while told to."""

    def __init__(self, inner: Store, error: Callable[[str], Exception | None]) -> None:
        self._inner = inner
        self._error = error

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if name not in ("claim", "settle"):
            return found

        async def asked(*args: Any, **kwargs: Any) -> Any:
            error = self._error(name)
            if error is not None:
                raise error
            return await found(*args, **kwargs)

        return asked


@pytest.mark.parametrize("state", ["idle", "busy", "paused"])
async def test_a_worker_that_has_nothing_to_claim_does_not_spin(state: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether it has no jobs, no free hands, or no leave: a laptop is a worker's place, too."""
    release = asyncio.Event()

    async def wait() -> None:
        await release.wait()

    kitchen = Kitchen.of(wait)
    rounds = Rounds(monkeypatch)
    if state == "paused":
        await kitchen.store.intern(["ovens"], ["wait"])
        await kitchen.store.set_paused("ovens", True)
    if state != "idle":
        await kitchen.submit(wait, 10)
    worker = await kitchen.worker(concurrency=2)
    working = asyncio.create_task(worker.run())
    await kitchen.until(lambda: rounds.count > 3 or state != "idle")
    await kitchen.until(lambda: state != "busy" or (worker._station is not None and worker._station.hands.free == 0))
    await kitchen.until(lambda: state != "paused" or kitchen.telemetry.counters["queue.paused"] > 0)
    await rounds.within(0.2)

    asked = await rounds.within(0.5)

    release.set()
    worker.drain()
    await working
    assert asked <= 20


class HourAhead(SystemClock):
    """A wall clock that is wrong."""

    def now_us(self) -> int:
        return super().now_us() + 3_600_000_000


async def test_a_worker_whose_wall_clock_is_ahead_waits_until_a_job_is_due(monkeypatch: pytest.MonkeyPatch) -> None:
    """The store's clock says what is due: going by its own, it would ask for an hour without a pause."""
    kitchen = Kitchen.of(echo)
    token = kitchen.entropy.token()
    job = NewJob(token, "ovens", "echo", b"{}", hash16(None, token), due_at=kitchen.clock.now_us() + 600_000_000)
    await kitchen.store.submit([job])
    rounds = Rounds(monkeypatch)
    kitchen.clock = HourAhead()
    worker = await kitchen.worker()
    working = asyncio.create_task(worker.run())
    await kitchen.until(lambda: rounds.count > 3)

    asked = await rounds.within(0.5)

    worker.drain()
    await working
    assert asked <= 20
    assert await kitchen.store.states([token]) == {token: State.SCHEDULED}


async def test_a_paused_queue_goes_on_at_once_when_it_is_resumed() -> None:
    kitchen = Kitchen.of(echo)
    await kitchen.store.intern(["ovens"], ["echo"])
    await kitchen.store.set_paused("ovens", True)
    worker = await kitchen.worker()
    working = asyncio.create_task(worker.run())
    tokens = await kitchen.submit(echo, 20)
    await kitchen.until(lambda: kitchen.telemetry.counters["queue.paused"] > 0)
    assert State.SUCCEEDED not in (await kitchen.store.states(tokens)).values()

    await kitchen.store.set_paused("ovens", False)
    await kitchen.until_settled(tokens)
    worker.drain()
    await working

    assert kitchen.telemetry.counters["queue.resumed"] == 1


async def test_a_worker_with_room_probes_all_slots_that_may_have_work() -> None:
    """A probe of a part of them that finds nothing says nothing about the rest."""
    kitchen = Kitchen.of(echo)
    station = await (await kitchen.worker())._register()
    await station.rings.look()
    [line] = station.lines
    await station.claimer.claim_once()
    line.slots.suspect_all()
    line.slots._window = 32
    tokens = [kitchen.entropy.token() for _ in range(64)]
    last = max(tokens, key=lambda token: hash16(None, token))
    await kitchen.store.submit([NewJob(last, "ovens", "echo", b"{}", hash16(None, last), None, is_fresh=True)])
    before = kitchen.telemetry.counters["claims.calls"]

    assert await station.claimer.claim_once()

    assert kitchen.telemetry.counters["claims.own"] == 1
    assert kitchen.telemetry.counters["claims.calls"] - before > 1
    await station.hands.rest()
    await station.hands.close()


async def test_slow_jobs_that_were_taken_for_fast_ones_go_back() -> None:
    """Another worker has free hands for them."""
    release = threading.Event()

    def slow() -> None:
        release.wait(60)

    kitchen = Kitchen.of(slow)
    tokens = await kitchen.submit(slow, 6)
    worker = await kitchen.worker(concurrency=1)
    station = await worker._register()
    me = (await kitchen.store.membership()).workers[0].id
    queues, tasks = await kitchen.store.intern(["ovens"], ["slow"])
    jobs = (await kitchen.store.claim(me, queues["ovens"], range(1024), 6, tasks=list(tasks.values()))).jobs
    working = asyncio.create_task(worker._work_at(station))
    station.holdings.take(jobs)
    station.hands.take(list(jobs))

    await kitchen.until(lambda: kitchen.telemetry.counters["claims.given_back"] == 5)
    held = await kitchen.store.held(me)

    assert len(held) == 1
    assert len(station.hands.todo) == 0
    release.set()
    await kitchen.until_settled(tokens)
    worker.drain()
    await working
    assert set((await kitchen.store.states(tokens)).values()) == {State.SUCCEEDED}


async def test_a_worker_without_slots_works_by_taking_from_others() -> None:
    """Its neighbour has all slots of this queue, and stands still."""
    kitchen = Kitchen.of(echo)
    await kitchen.neighbour()
    worker = await kitchen.worker(weight=1)
    tokens = await kitchen.submit(echo, 50)
    keyed = await kitchen.submit(echo, 5, key="k")

    await kitchen.work_until_settled(tokens + keyed, worker)

    assert kitchen.telemetry.counters["claims.stolen"] >= 40


async def test_what_falls_due_in_the_slots_of_a_worker_that_stands_still_is_run_by_others() -> None:
    """Nobody but the owner looked what is due: a retry waited for whatever kept its hands, its loop or its process."""
    kitchen = Kitchen.of(echo)
    await kitchen.neighbour()
    worker = await kitchen.worker(weight=1)
    due_at = kitchen.clock.now_us() + 50_000
    tokens: list[bytes] = [kitchen.entropy.token() for _ in range(20)]
    keys = [*map(str, range(10)), *[None] * 10]
    await kitchen.store.submit(
        [
            NewJob(token, "ovens", "echo", b"{}", hash16(key, token), key=key, due_at=due_at)
            for token, key in zip(tokens, keys, strict=True)
        ]
    )

    await kitchen.work_until_settled(tokens, worker)

    assert kitchen.telemetry.counters["claims.stolen"] >= 16


async def test_a_keyed_job_of_anothers_slot_waits_by_the_run_time_of_its_own_task() -> None:
    """What takes long stays with its worker for long; what takes a millisecond is taken after fifty of them."""

    async def slow() -> None: ...

    kitchen = Kitchen.of(echo, slow)
    await kitchen.neighbour()
    station = await (await kitchen.worker(weight=1, affinity_wait_s=3_600))._register()
    await station.rings.look()
    numbers = station._me.task_ids
    for _ in range(8):
        station._pace.ran(numbers["echo"], 1_000)
        station._pace.ran(numbers["slow"], 900_000_000)
    key = next(key for key in map(str, range(99)) if slot_of(hash16(key, b"")) not in station.lines[0].slots.own)
    other = next(
        k for k in map(str, range(int(key) + 1, 99)) if slot_of(hash16(k, b"")) not in station.lines[0].slots.own
    )
    await kitchen.submit(slow, key=key)
    [fast] = await kitchen.submit(echo, key=other)

    async def claimed_echo() -> bool:
        await station.claimer._claim_elsewhere(station.lines[0])
        return fast in station.holdings.jobs

    async with asyncio.timeout(60):
        while not await claimed_echo():
            await asyncio.sleep(0.001)

    assert list(station.holdings.jobs) == [fast]
    assert kitchen.telemetry.counters["claims.stolen"] == 1
    await station.hands.rest()
    await station.hands.close()


async def test_the_run_time_of_a_task_is_learnt_from_its_settles() -> None:
    """From one job of each batch, so that no job pays for it."""

    async def slow() -> None:
        await asyncio.sleep(0.3)

    kitchen = Kitchen.of(echo, slow)
    worker = await kitchen.worker()
    await kitchen.work_until_settled([*await kitchen.submit(echo, 20), *await kitchen.submit(slow, 2)], worker)

    assert worker._station is not None
    pace, numbers = worker._station._pace, worker._me.task_ids
    assert pace.run_us_of(numbers["slow"]) > 250_000 > pace.run_us_of(numbers["echo"])


async def test_idle_hands_are_counted_and_shown(tmp_path: Path) -> None:
    """A neighbour stands still: its keyed jobs are taken after the affinity wait, for which two hands did nothing."""
    kitchen = Kitchen.of(echo)
    await kitchen.neighbour()
    table = RunningTable.create(str(tmp_path / "w.table"), concurrency=4)
    worker = await kitchen.worker(weight=1, running=table)
    working = asyncio.create_task(worker.run())
    await kitchen.until(lambda: worker._station is not None)
    assert worker._station is not None
    [line] = worker._station.lines
    await kitchen.until(lambda: len(line.ring.members) == 2)
    resting = worker._station.claimer._idle._since
    await kitchen.until(lambda: len(resting) == 4)
    keys = [key for key in map(str, range(99)) if slot_of(hash16(key, b"")) not in line.slots.own][:2]

    tokens = [token for key in keys for token in await kitchen.submit(echo, key=key)]
    await kitchen.until_settled(tokens)
    worker.drain()
    await working

    counts = counts_in(table.path)
    assert counts is not None
    assert (counts.own, counts.stolen) == (0, 2)
    assert counts.idle_us == kitchen.telemetry.counters["hands.idle_us"] >= 2 * 45_000


async def test_jobs_of_a_task_that_only_one_worker_knows_are_run_by_it() -> None:
    """A rolling deploy: the old worker leaves what it does not know to the new one, whoever's slots it is in."""

    async def fresh() -> None: ...

    old, new = Kitchen.of(echo), Kitchen.of(echo, fresh)
    new.store, new.telemetry = old.store, old.telemetry
    new.node_id = old.node_id = (await old.store.register_node(NewNode("mitte", "", "{}"))).id
    tokens = [*await new.submit(fresh, 200), *await new.submit(echo, 200)]
    one, two = await old.worker(name="mitte/1"), await new.worker(name="mitte/2")

    working = asyncio.create_task(one.run())
    await new.work_until_settled(tokens, two)
    one.drain()

    assert await working == DRAINED
    assert set((await new.store.states(tokens)).values()) == {State.SUCCEEDED}


async def test_jobs_of_unknown_tasks_do_not_hide_those_behind_them() -> None:
    """A look at others' slots names 64 at most, and all of these have nothing for this worker."""

    async def fresh() -> None: ...

    new = Kitchen.of(echo, fresh)
    old = Kitchen.of(echo, store=new.store)
    await new.neighbour()
    old.node_id = new.node_id
    await new.submit(fresh, 2_000)
    tokens = [old.entropy.token() for _ in range(64)]
    last = max(tokens, key=lambda token: hash16(None, token))
    await old.store.submit([NewJob(last, "ovens", "echo", b"{}", hash16(None, last), None, is_fresh=True)])
    station = await (await old.worker(weight=1))._register()
    await station.rings.look()
    assert slot_of(hash16(None, last)) not in station.lines[0].slots.own

    await station.claimer.claim_once()

    assert list(station.holdings.jobs) == [last]
    await station.hands.rest()
    await station.hands.close()


async def test_a_full_disk_pauses_a_worker_and_room_lets_it_go_on() -> None:
    """Told once each, whatever number of tries lies between."""
    is_full = True
    kitchen = Kitchen.of(echo)
    store = Raising(kitchen.store, lambda _: StoreFullError("no room") if is_full else None)
    tokens = await kitchen.submit(echo, 3)
    worker = await kitchen.worker(store=store)
    working = asyncio.create_task(worker.run())
    await kitchen.until(lambda: kitchen.telemetry.counters["worker.paused"] > 0)

    is_full = False
    await kitchen.until_settled(tokens)
    worker.drain()

    assert await working == DRAINED
    told = kitchen.telemetry.counters
    assert (told["worker.paused"], told["worker.resumed"]) == (1, 1)


@pytest.mark.parametrize("method", ["claim", "settle"])
async def test_a_broken_disk_ends_a_worker_and_is_told(method: str) -> None:
    """It is not retried past."""
    kitchen = Kitchen.of(echo)
    store = Raising(kitchen.store, lambda name: StoreBrokenError("fsync failed") if name == method else None)
    await kitchen.submit(echo, 3)
    worker = await kitchen.worker(store=store)

    with pytest.raises(StoreBrokenError):
        await asyncio.wait_for(worker.run(), 60)

    assert kitchen.telemetry.counters["store.broken"] == 1


async def test_a_worker_without_tasks_waits() -> None:
    """An application that only submits, run by mistake: nothing to do is no error."""
    kitchen = Kitchen.of()
    worker = await kitchen.worker()
    working = asyncio.create_task(worker.run())
    await kitchen.until(lambda: kitchen.telemetry.counters["worker.registered"] > 0)
    await asyncio.sleep(0.02)
    worker.drain()

    assert await working == DRAINED


async def test_a_worker_can_be_ended_while_the_store_does_not_answer() -> None:
    """It has not even registered."""
    kitchen = Kitchen.of(echo)
    plan = ScriptedPlan({("register_worker", call): Fault.REFUSED for call in range(1, 10_000)})
    worker = await kitchen.worker(store=FaultyStore(kitchen.store, plan))
    working = asyncio.create_task(worker.run())
    await kitchen.until(lambda: kitchen.telemetry.counters["store.lost"] > 0)

    worker.drain()

    assert await asyncio.wait_for(working, 60) == DRAINED


async def test_a_worker_alone_that_was_declared_dead_ends_as_such() -> None:
    kitchen = Kitchen.of(echo)
    worker = await kitchen.worker(is_alone=True)
    station = await worker._register()
    await kitchen.store.close_worker(worker._incarnation)

    with pytest.raises(Exception, match="declared dead"):
        await worker._work_alone(station)

    fresh = await kitchen.worker(name="mitte/9", is_alone=True)
    closing = asyncio.create_task(fresh.run())
    assert await closing in (DRAINED, CLOSED)
