"""A worker in this process, over a store in memory."""

from __future__ import annotations

import asyncio
import threading
import time
from datetime import timedelta
from pathlib import Path

import pytest

from rota.model.outcome import Failure
from rota.model.retry import Fail, Retry, Snooze
from rota.model.state import State
from rota.store.port import Blame
from rota.worker.current import current_job
from rota.worker.order import CLOSED, DRAINED, RECYCLE
from rota.worker.running import RunningTable
from tests.faults import Fault, FaultyStore, ScriptedPlan
from tests.unit.worker.kitchen import Kitchen, spec


async def echo(word: str) -> str:
    return word


def echo_in_thread(word: str) -> str:
    return word + threading.current_thread().name[:9]


async def test_results_are_kept() -> None:
    """What a handler returns is what its submitter gets."""
    kitchen = Kitchen.of(echo)
    tokens = await kitchen.submit(echo, 50, word="hot")

    code = await kitchen.work_until_settled(tokens, await kitchen.worker())

    row = await kitchen.store.find(tokens[-1])
    assert code == DRAINED
    assert row is not None
    assert (row.state, row.result) == (State.SUCCEEDED, b'"hot"')


async def test_plain_functions_run_in_threads_and_mix_with_coroutines() -> None:
    """Both kinds share the same seats."""
    kitchen = Kitchen.of(echo, echo_in_thread)
    tokens: list[bytes] = []
    for _ in range(30):
        tokens += await kitchen.submit(echo, word="a")
        tokens += await kitchen.submit(echo_in_thread, word="b")

    await kitchen.work_until_settled(tokens, await kitchen.worker())

    row = await kitchen.store.find(tokens[-1])
    assert row is not None
    assert row.result == b'"brota-hand"'


async def test_jobs_of_a_key_run_one_at_a_time_and_in_order() -> None:
    """P5 through the whole of a worker."""
    seen: list[int] = []
    running = 0

    async def bake(number: int) -> None:
        nonlocal running
        running += 1
        assert running == 1
        await asyncio.sleep(0)
        seen.append(number)
        running -= 1

    kitchen = Kitchen.of(bake)
    tokens: list[bytes] = []
    for number in range(20):
        tokens += await kitchen.submit(bake, key="oven", number=number)

    await kitchen.work_until_settled(tokens, await kitchen.worker())

    assert seen == list(range(20))


async def test_a_failing_job_is_tried_again_and_then_kept_as_a_dead_letter() -> None:
    """With its attempts counted and its traceback."""
    attempts: list[int] = []

    async def burn() -> None:
        attempts.append(current_job().attempt)
        raise ValueError("too hot")

    kitchen = Kitchen.of(burn)
    tokens = await kitchen.submit(burn)

    await kitchen.work_until_settled(tokens, await kitchen.worker())

    row = await kitchen.store.find(tokens[0])
    assert row is not None
    assert row.failure is not None
    assert attempts == [1, 2, 3]
    assert (row.state, row.attempts) == (State.FAILED, 3)
    assert row.failure.type == "ValueError"
    assert "raise ValueError" in row.failure.traceback


async def test_fail_ends_at_once_and_snooze_comes_back_uncounted() -> None:
    """Handlers can say what they know."""
    snoozed = False

    async def refuse() -> None:
        raise Fail("closed today")

    async def later() -> int | Snooze:
        nonlocal snoozed
        if not snoozed:
            snoozed = True
            return Snooze(timedelta(milliseconds=1))
        return current_job().attempt

    kitchen = Kitchen.of(refuse, later)
    tokens = [*await kitchen.submit(refuse), *await kitchen.submit(later)]

    await kitchen.work_until_settled(tokens, await kitchen.worker())

    refused, done = await kitchen.store.find(tokens[0]), await kitchen.store.find(tokens[1])
    assert refused is not None
    assert done is not None
    assert (refused.state, refused.attempts) == (State.FAILED, 1)
    assert done.result == b"1"


async def test_a_result_that_cannot_be_written_fails_without_another_attempt() -> None:
    """Doing the work again would give the same answer."""
    runs = 0

    async def odd() -> object:
        nonlocal runs
        runs += 1
        return object()

    kitchen = Kitchen.of(odd)
    tokens = await kitchen.submit(odd)

    await kitchen.work_until_settled(tokens, await kitchen.worker())

    assert (await kitchen.store.states(tokens))[tokens[0]] is State.FAILED
    assert runs >= 1


async def test_a_coroutine_is_cancelled_at_its_time_limit() -> None:
    """And tried again by the policy."""
    kinds: list[str] = []

    async def slow() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            kinds.append("cancelled")
            raise

    kitchen = Kitchen.of(spec(slow, retry=Retry(attempts=1), timeout_ms=20))
    tokens = await kitchen.submit(slow)

    await kitchen.work_until_settled(tokens, await kitchen.worker())

    row = await kitchen.store.find(tokens[0])
    assert row is not None
    assert row.failure is not None
    assert (row.state, row.failure.type, kinds) == (State.FAILED, "JobTimeoutError", ["cancelled"])


async def test_a_running_coroutine_can_be_cancelled() -> None:
    """Its outcome is `cancelled`, and the worker goes on."""
    started = asyncio.Event()

    async def endless() -> None:
        started.set()
        await asyncio.sleep(60)

    kitchen = Kitchen.of(endless, echo)
    tokens = await kitchen.submit(endless)
    worker = await kitchen.worker()
    working = asyncio.create_task(worker.run())
    await started.wait()

    cancelled = await kitchen.store.cancel(tokens[0])
    others = await kitchen.submit(echo, word="next")
    while not (await kitchen.store.states(others))[others[0]].is_final:
        await asyncio.sleep(0.002)
    worker.drain()
    await working

    assert cancelled.was is State.RUNNING
    assert (await kitchen.store.states(tokens))[tokens[0]] is State.CANCELLED


async def test_a_handler_that_swallows_its_cancellation_has_its_own_outcome() -> None:
    """It finished the work: saying otherwise would be wrong."""
    started = asyncio.Event()

    async def stubborn() -> str:
        started.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            return "done anyway"
        return ""

    kitchen = Kitchen.of(stubborn)
    tokens = await kitchen.submit(stubborn)
    worker = await kitchen.worker()
    working = asyncio.create_task(worker.run())
    await started.wait()

    await kitchen.store.cancel(tokens[0])
    while not (await kitchen.store.states(tokens))[tokens[0]].is_final:
        await asyncio.sleep(0.002)
    worker.drain()
    await working

    assert (await kitchen.store.states(tokens))[tokens[0]] is State.SUCCEEDED


async def test_a_thread_sees_that_a_cancel_was_asked() -> None:
    """It cannot be stopped, so it is told."""
    started = threading.Event()

    def patient() -> None:
        started.set()
        while not current_job().is_cancel_asked:
            time.sleep(0.001)
        raise RuntimeError("gave up")

    kitchen = Kitchen.of(patient)
    tokens = await kitchen.submit(patient)
    worker = await kitchen.worker()
    working = asyncio.create_task(worker.run())
    while not started.is_set():
        await asyncio.sleep(0.001)

    await kitchen.store.cancel(tokens[0])
    while not (await kitchen.store.states(tokens))[tokens[0]].is_final:
        await asyncio.sleep(0.002)
    worker.drain()
    await working

    assert (await kitchen.store.states(tokens))[tokens[0]] is State.CANCELLED


async def test_a_thread_that_overruns_leaves_a_will_and_asks_for_a_new_process(tmp_path: Path) -> None:
    """A run that may still go on is never settled by its own process."""
    release = threading.Event()

    def stuck() -> None:
        release.wait(30)

    kitchen = Kitchen.of(spec(stuck, timeout_ms=10), echo)
    table = RunningTable.create(str(tmp_path / "w.table"), 4)
    tokens = await kitchen.submit(stuck)
    worker = await kitchen.worker(running=table, timeout_grace_s=0.02, grace_s=0.05)

    code = await worker.run()

    will = table.will()
    assert code == RECYCLE
    assert [outcome.token for outcome in will] == tokens
    assert will[0].failure is not None
    assert will[0].failure.type == "JobTimeoutError"
    assert table.running() == tokens
    assert (await kitchen.store.states(tokens))[tokens[0]] is State.RUNNING
    release.set()


async def test_a_job_is_marked_before_it_is_decoded(tmp_path: Path) -> None:
    """A payload can kill a process, too; it must be known which."""
    table = RunningTable.create(str(tmp_path / "w.table"), 4)
    marked: list[list[bytes]] = []
    plain = spec(echo)

    def spying(payload: bytes) -> tuple[tuple[object, ...], dict[str, object]]:
        marked.append(table.running())
        return (), {"word": "x"}

    seen = type(plain)("echo", "ovens", echo, True, spying, plain.encode_result, plain.retry)
    kitchen = Kitchen.of(seen)
    tokens = await kitchen.submit(echo, word="x")

    await kitchen.work_until_settled(tokens, await kitchen.worker(running=table))

    assert marked == [[tokens[0]]]
    assert table.running() == []


async def test_draining_gives_back_what_was_not_started() -> None:
    """Uncounted, and in its place."""
    started, finish = asyncio.Event(), asyncio.Event()

    async def wait() -> None:
        started.set()
        await finish.wait()

    kitchen = Kitchen.of(wait, echo)
    first = await kitchen.submit(wait)
    worker = await kitchen.worker(concurrency=1)
    working = asyncio.create_task(worker.run())
    await started.wait()
    others = await kitchen.submit(echo, 5, word="x")

    worker.drain()
    finish.set()
    code = await working

    states = await kitchen.store.states(first + others)
    assert code == DRAINED
    assert states[first[0]] is State.SUCCEEDED
    assert {states[token] for token in others} == {State.WAITING}


async def test_a_coroutine_that_outlasts_the_grace_goes_back_uncounted() -> None:
    """A deploy must not cost anybody an attempt."""
    started = asyncio.Event()

    async def endless() -> None:
        started.set()
        await asyncio.sleep(60)

    kitchen = Kitchen.of(endless)
    tokens = await kitchen.submit(endless)
    worker = await kitchen.worker(grace_s=0.02)
    working = asyncio.create_task(worker.run())
    await started.wait()

    worker.drain()
    await working

    row = await kitchen.store.find(tokens[0])
    assert row is not None
    assert (row.state, row.attempts, row.crashes, row.holder) == (State.WAITING, 0, 0, None)


async def test_a_closed_worker_ends() -> None:
    """Others have declared it dead: whatever it claims now would be refused."""
    kitchen = Kitchen.of(echo)
    worker = await kitchen.worker()
    working = asyncio.create_task(worker.run())
    while not (seen := await kitchen.store.membership()).workers:
        await asyncio.sleep(0.001)

    await kitchen.store.close_worker(seen.workers[0].id)
    await kitchen.submit(echo, word="x")

    assert await working == CLOSED


@pytest.mark.parametrize("method", ["claim", "settle", "register_worker", "held", "membership"])
@pytest.mark.parametrize("fault", list(Fault))
async def test_a_lost_reply_loses_and_doubles_nothing(method: str, fault: Fault) -> None:
    """Whatever statement it happens at."""
    ran: list[int] = []

    async def count(number: int) -> None:
        ran.append(number)

    kitchen = Kitchen.of(count)
    faulty = FaultyStore(kitchen.store, ScriptedPlan({(method, call): fault for call in (1, 3)}))
    tokens: list[bytes] = []
    for number in range(25):
        tokens += await kitchen.submit(count, key=f"key {number % 3}", number=number)

    await kitchen.work_until_settled(tokens, await kitchen.worker(store=faulty, sweep_s=0.01))

    states = await kitchen.store.states(tokens)
    assert {states[token] for token in tokens} == {State.SUCCEEDED}
    assert sorted(ran) == list(range(25))


async def test_a_late_settle_is_refused_and_counted() -> None:
    """The job was released by mistake and is another run's now."""
    started, finish = asyncio.Event(), asyncio.Event()
    fences: list[int] = []

    async def wait() -> int:
        fences.append(current_job().fence)
        if len(fences) == 1:
            started.set()
            await finish.wait()
        return current_job().fence

    kitchen = Kitchen.of(wait)
    tokens = await kitchen.submit(wait)
    first = await kitchen.worker(sweep_s=60)
    working = asyncio.create_task(first.run())
    await started.wait()
    holder = (await kitchen.store.membership()).workers[0].id
    await kitchen.store.close_worker(holder)
    await kitchen.store.release(holder, Blame([], Failure("Planted", "by a test"), forgives=True))

    await kitchen.work_until_settled(tokens, await kitchen.worker(name="mitte/2"))
    finish.set()
    await working

    row, history = await kitchen.store.find(tokens[0]), await kitchen.store.history(tokens[0])
    assert row is not None
    assert (row.state, row.result, fences) == (State.SUCCEEDED, b"2", [1, 2])
    assert kitchen.telemetry.counters["job.stale"] == 1
    assert [entry.kind for entry in history] == ["released", "stale"]


async def test_run_until_idle_does_all_that_is_due() -> None:
    """For users' own tests."""
    kitchen = Kitchen.of(echo)
    tokens = await kitchen.submit(echo, 30, key="k", word="x")

    await (await kitchen.worker()).run_until_idle()

    states = await kitchen.store.states(tokens)
    assert {states[token] for token in tokens} == {State.SUCCEEDED}


async def test_two_workers_share_and_help_each_other_out() -> None:
    """Keyless jobs in a busy worker's slots are taken by an idle one."""
    ran: dict[str, int] = {"mitte/1": 0, "mitte/2": 0}

    async def cook() -> None:
        await asyncio.sleep(0.003)

    kitchen = Kitchen.of(cook)
    tokens = await kitchen.submit(cook, 120)
    one = await kitchen.worker(name="mitte/1", concurrency=2)
    two = await kitchen.worker(name="mitte/2", concurrency=2)

    helping = asyncio.create_task(two.run())
    await kitchen.work_until_settled(tokens, one)
    two.drain()
    await helping

    assert ran
    assert kitchen.telemetry.counters["claims.own"] + kitchen.telemetry.counters["claims.stolen"] >= 120
