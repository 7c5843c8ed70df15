"""Handlers of every kind, and what they leave behind: nothing."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable
from contextvars import ContextVar
from pathlib import Path

import pytest

from rota.errors import InvalidArgumentsError
from rota.model.retry import Retry
from rota.model.state import State
from rota.store.port import Wake
from rota.worker.current import current_job
from rota.worker.order import DRAINED, RECYCLE
from rota.worker.running import RunningTable
from tests.unit.worker.kitchen import Kitchen, spec

tenant: ContextVar[str] = ContextVar("tenant", default="nobody")
ONCE = Retry(attempts=1)


async def echo(word: str) -> str:
    return word


@pytest.mark.parametrize("concurrency", [1, 3])
async def test_never_more_jobs_at_once_than_seats(concurrency: int) -> None:
    """A database that takes three connections must not get four."""
    running, most, lock = 0, 0, threading.Lock()  # The first jobs stay until all seats are taken.

    def enter() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)

    def leave() -> None:
        nonlocal running
        with lock:
            running -= 1

    async def cook() -> None:
        enter()
        await asyncio.sleep(0.002)
        while most < concurrency:
            await asyncio.sleep(0.002)
        leave()

    def fry() -> None:
        enter()
        time.sleep(0.002)
        while most < concurrency:
            time.sleep(0.002)
        leave()

    kitchen = Kitchen.of(cook, fry)
    tokens: list[bytes] = []
    for _ in range(20):
        tokens += [*await kitchen.submit(cook), *await kitchen.submit(fry)]

    await kitchen.work_until_settled(tokens, await kitchen.worker(concurrency=concurrency))

    assert most == concurrency


async def stray() -> None:
    """Cancels itself after its last await: the cancellation is delivered to whatever this task awaits next."""
    task = asyncio.current_task()
    assert task is not None
    task.cancel()


async def swallowing() -> None:
    """Is cancelled, and does not take it back."""
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    try:
        await asyncio.sleep(0)
    except asyncio.CancelledError:
        return


async def tidy() -> str:
    """Is right only in a task in which nothing is pending: a task group looks at that."""
    with contextlib.suppress(ExceptionGroup):
        async with asyncio.TaskGroup() as group:
            group.create_task(_raising())
    return "told apart"


async def _raising() -> None:
    raise ValueError


@pytest.mark.parametrize("culprit", [stray, swallowing])
async def test_a_cancellation_that_a_handler_leaves_behind_hits_no_other_job(culprit: Callable[[], object]) -> None:
    """The same hand runs both, and is still there afterwards."""
    kitchen = Kitchen.of(spec(stray), spec(swallowing), spec(tidy, retry=ONCE))
    tokens: list[bytes] = []
    for _ in range(5):
        tokens += [*await kitchen.submit(culprit, key="k"), *await kitchen.submit(tidy, key="k")]

    await kitchen.work_until_settled(tokens, await kitchen.worker(concurrency=1))

    states = await kitchen.store.states(tokens)
    assert {states[token] for token in tokens} == {State.SUCCEEDED}


async def test_a_task_that_is_cancelled_long_after_its_job_stays_a_hand() -> None:
    """Some library kept the handler's task, and cancels it while it waits for another job."""
    kept: list[asyncio.Task[object]] = []

    async def leaves() -> None:
        task = asyncio.current_task()
        assert task is not None
        kept.append(task)

    kitchen = Kitchen.of(leaves, echo)
    tokens = await kitchen.submit(leaves)
    worker = await kitchen.worker(concurrency=1)
    working = asyncio.create_task(worker.run())
    await kitchen.until_settled(tokens)

    kept[0].cancel()
    await asyncio.sleep(0)
    others = await kitchen.submit(echo, 3, word="x")
    await kitchen.until_settled(others)
    worker.drain()

    assert await working == DRAINED
    assert set((await kitchen.store.states(others)).values()) == {State.SUCCEEDED}


async def test_no_job_sees_another_jobs_context_variables() -> None:
    """One customer's name must not turn up in the log lines of the next."""

    async def cook(name: str) -> str:
        before = tenant.get()
        tenant.set(name)
        await asyncio.sleep(0)
        return before

    def fry(name: str) -> str:
        before = tenant.get()
        tenant.set(name)
        return before

    kitchen = Kitchen.of(cook, fry)
    tokens: list[bytes] = []
    for number in range(6):
        tokens += await kitchen.submit(cook if number % 2 else fry, key="k", name=f"customer {number}")

    await kitchen.work_until_settled(tokens, await kitchen.worker(concurrency=1))

    rows = [await kitchen.store.find(token) for token in tokens]
    assert {row.result for row in rows if row is not None} == {b'"nobody"'}


async def test_a_context_variable_that_cannot_be_compared_is_a_changed_one() -> None:
    """An array in it must not bring down the worker."""

    class Odd:
        def __eq__(self, other: object) -> bool:
            raise TypeError("ambiguous")

        __hash__ = None  # type: ignore[assignment]

    holder: ContextVar[Odd] = ContextVar("holder")

    async def cook() -> bool:
        was_set = holder.get(None) is not None
        holder.set(Odd())
        return was_set

    kitchen = Kitchen.of(cook)
    tokens = await kitchen.submit(cook, 4, key="k")

    await kitchen.work_until_settled(tokens, await kitchen.worker(concurrency=1))

    rows = [await kitchen.store.find(token) for token in tokens]
    assert {row.result for row in rows if row is not None} == {b"false"}


async def test_current_job_is_the_starters_in_the_tasks_and_threads_that_it_starts() -> None:
    """Also after it has ended, and while the same hand runs another job."""
    seen: list[tuple[str, str]] = []
    ended = asyncio.Event()

    async def starts() -> str:
        mine = current_job().token

        async def later() -> None:
            await ended.wait()
            seen.append((mine, current_job().token))

        background.append(asyncio.create_task(later()))
        seen.append((mine, await asyncio.to_thread(lambda: current_job().token)))
        return mine

    background: list[asyncio.Task[None]] = []
    kitchen = Kitchen.of(starts)
    tokens = await kitchen.submit(starts, 3, key="k")

    await kitchen.work_until_settled(tokens, await kitchen.worker(concurrency=1))
    ended.set()
    await asyncio.gather(*background)

    assert len(seen) == 6
    assert all(mine == told for mine, told in seen)


@pytest.mark.parametrize("error", [ValueError, SystemExit, KeyboardInterrupt, GeneratorExit, asyncio.CancelledError])
async def test_whatever_a_handler_raises_is_an_outcome(error: type[BaseException]) -> None:
    """And costs neither the worker nor a seat."""

    async def cook() -> None:
        raise error

    def fry() -> None:
        raise error

    kitchen = Kitchen.of(spec(cook, retry=ONCE), spec(fry, retry=ONCE), echo)
    tokens = [*await kitchen.submit(cook, 2), *await kitchen.submit(fry, 2)]
    worker = await kitchen.worker(concurrency=1)
    working = asyncio.create_task(worker.run())

    await kitchen.until_settled(tokens)
    others = await kitchen.submit(echo, word="x")
    await kitchen.until_settled(others)
    worker.drain()

    assert await working == DRAINED
    rows = [await kitchen.store.find(token) for token in tokens]
    assert {row.failure.type for row in rows if row is not None and row.failure is not None} == {error.__name__}
    assert {row.state for row in rows if row is not None} == {State.FAILED}


async def test_a_plain_function_that_returns_a_coroutine_is_told_what_to_do() -> None:
    """A decorator that is not `async def` hides that its function is."""

    def wrapped() -> object:
        return echo("x")

    kitchen = Kitchen.of(wrapped)
    task = spec(wrapped)

    def refuse(value: object) -> bytes:
        raise InvalidArgumentsError(f"{value!r} is no JSON")

    kitchen.specs = {"wrapped": type(task)("wrapped", "ovens", wrapped, False, task.decode, refuse, task.retry)}
    tokens = await kitchen.submit(wrapped)

    await kitchen.work_until_settled(tokens, await kitchen.worker())

    row = await kitchen.store.find(tokens[0])
    assert row is not None
    assert row.failure is not None
    assert (row.state, row.attempts) == (State.FAILED, 1)
    assert "Declare it with `async def`" in row.failure.message


async def test_a_handler_that_will_not_be_cancelled_does_not_hold_up_the_end() -> None:
    """Its process ends, and then its job is released."""
    started, release = asyncio.Event(), asyncio.Event()

    async def stubborn() -> None:
        started.set()
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue

    kitchen = Kitchen.of(stubborn)
    tokens = await kitchen.submit(stubborn)
    worker = await kitchen.worker(grace_s=0.01)
    working = asyncio.create_task(worker.run())
    await started.wait()

    worker.drain()

    assert await asyncio.wait_for(working, 60) == DRAINED
    assert (await kitchen.store.states(tokens))[tokens[0]] is State.RUNNING
    release.set()


async def test_a_job_that_a_thread_hands_across_while_the_worker_ends_goes_back() -> None:
    """It must neither be started nor keep the worker waiting for the whole of its grace."""
    kitchen = Kitchen.of(echo)
    tokens = await kitchen.submit(echo, word="x")
    worker = await kitchen.worker(grace_s=3_600)
    station = await worker._register()
    await station.rings.look()
    hands = station.hands
    hands.start_nothing()
    await station.claimer.claim_once()
    [job] = hands.take_back()
    hands._take_seat()  # The thread's, which has found an `async def` job.
    resting = asyncio.create_task(hands.rest())
    await asyncio.sleep(0)

    hands._thread_found_async(job)
    await asyncio.wait_for(resting, 60)

    assert [each.token for each in hands.take_back()] == tokens
    assert hands.busy == 0


async def test_a_cancel_reaches_a_job_that_waits_to_be_started() -> None:
    """Wherever it waits: threads take from the queue while it is looked for, and one may be on its way to a thread."""
    gate, ran = threading.Event(), list[int]()

    def fry(number: int) -> None:
        ran.append(number)
        gate.wait(60)

    kitchen = Kitchen.of(fry)
    tokens: list[bytes] = []
    for number in range(3):
        tokens += await kitchen.submit(fry, number=number)
    station = await (await kitchen.worker(concurrency=1))._register()
    me = (await kitchen.store.membership()).workers[0].id
    queues, tasks = await kitchen.store.intern(["ovens"], ["fry"])
    jobs = (await kitchen.store.claim(me, queues["ovens"], range(1024), 3, tasks=list(tasks.values()))).jobs
    station.holdings.take(jobs)
    station.hands.take(list(jobs))
    await kitchen.until(lambda: len(ran) == 1)

    station.heard(Wake(cancels=[job.token for job in jobs[1:]]))
    gate.set()
    await station.hands.rest()
    settling = asyncio.create_task(station.settler.run())
    await station.settler.drained()
    settling.cancel()
    await station.hands.close()

    states = await kitchen.store.states(tokens)
    assert len(ran) == 1
    assert [states[job.token] for job in jobs] == [State.SUCCEEDED, State.CANCELLED, State.CANCELLED]


async def test_the_time_limit_of_a_thread_goes_by_a_clock_that_does_not_jump() -> None:
    """The wall clock is set forward by an hour just when a job has begun."""
    kitchen = Kitchen.of()

    def fry() -> str:
        jump.append(3_600_000_000)
        time.sleep(0.02)
        return "done"

    jump: list[int] = []

    class Jumping(type(kitchen.clock)):  # type: ignore[misc]
        def now_us(self) -> int:
            return int(super().now_us()) + sum(jump)

    kitchen.specs = {"fry": spec(fry, timeout_ms=60_000)}
    kitchen.clock = Jumping()
    tokens = await kitchen.submit(fry)

    code = await kitchen.work_until_settled(tokens, await kitchen.worker(timeout_grace_s=0))

    assert code == DRAINED
    assert kitchen.telemetry.counters["job.overran"] == 0


async def test_a_coroutine_that_ignores_its_time_limit_has_its_process_replaced(tmp_path: Path) -> None:
    """It would hold its seat for ever; a run that may still go on is never settled by its own process."""
    release = asyncio.Event()

    async def stubborn() -> None:
        while not release.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await release.wait()

    kitchen = Kitchen.of(spec(stubborn, timeout_ms=10))
    table = RunningTable.create(str(tmp_path / "w.table"), 4)
    tokens = await kitchen.submit(stubborn)
    worker = await kitchen.worker(running=table, timeout_grace_s=0.02, grace_s=0.02)

    code = await asyncio.wait_for(worker.run(), 60)

    assert code == RECYCLE
    assert [outcome.token for outcome in table.will()] == tokens
    assert table.running() == tokens
    release.set()


async def test_a_standstill_longer_than_limit_and_grace_is_not_held_against_a_coroutine() -> None:
    """The process was stopped, or another job held the loop: its grace begins when it is told to end."""

    def stand_still() -> None:
        time.sleep(0.1)

    async def obliging() -> None:
        stand_still()
        await asyncio.sleep(60)

    kitchen = Kitchen.of(spec(obliging, retry=Retry(attempts=1), timeout_ms=10))
    tokens = await kitchen.submit(obliging)

    code = await kitchen.work_until_settled(tokens, await kitchen.worker(timeout_grace_s=0.02))

    row = await kitchen.store.find(tokens[0])
    assert code == DRAINED
    assert row is not None
    assert row.failure is not None
    assert row.failure.type == "JobTimeoutError"
