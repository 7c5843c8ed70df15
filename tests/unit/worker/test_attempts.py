"""One attempt: its outcome, its limits, and what can be stopped."""

from __future__ import annotations

import asyncio
import threading
import time
from datetime import timedelta
from pathlib import Path

from rota.model.retry import Fail, Retry, Snooze
from rota.model.state import State
from rota.worker.current import current_job
from rota.worker.order import RECYCLE
from rota.worker.running import RunningTable
from tests.unit.worker.kitchen import Kitchen, spec


async def echo(word: str) -> str:
    return word


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
    """It cannot be stopped, so it is told; and so are those who watch, once it gave up."""
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
    assert kitchen.telemetry.counters["job.cancelled"] == 1


async def test_a_thread_that_overruns_leaves_a_will_and_asks_for_a_new_process(tmp_path: Path) -> None:
    """A run that may still go on is never settled by its own process."""
    release = threading.Event()

    def stuck() -> None:
        release.wait(60)

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


async def test_what_overran_for_good_is_not_waited_for_once_the_others_are_done(tmp_path: Path) -> None:
    """The grace is for its neighbours; its failure is told when its process ends, and not before."""
    release, go = threading.Event(), threading.Event()

    def stuck() -> None:
        release.wait(60)

    def neighbour() -> None:
        go.wait(60)

    kitchen = Kitchen.of(spec(stuck, timeout_ms=10), neighbour)
    table = RunningTable.create(str(tmp_path / "w.table"), 4)
    tokens = [*await kitchen.submit(stuck), *await kitchen.submit(neighbour)]
    worker = await kitchen.worker(running=table, timeout_grace_s=0.02, grace_s=60)
    running = asyncio.create_task(worker.run())
    await kitchen.until(lambda: kitchen.telemetry.counters["worker.draining"] == 1)

    told_before = kitchen.telemetry.counters["job.timed_out"]
    go.set()
    code = await asyncio.wait_for(running, 60)

    assert (code, told_before, kitchen.telemetry.counters["job.timed_out"]) == (RECYCLE, 0, 1)
    assert [outcome.token for outcome in table.will()] == tokens[:1]
    assert (await kitchen.store.states(tokens))[tokens[1]] is State.SUCCEEDED
    release.set()


async def test_what_overran_and_comes_back_before_its_process_ends_counts(tmp_path: Path) -> None:
    """What has been done is not done again, and nobody is told that it is."""
    release, go = threading.Event(), threading.Event()

    def late() -> str:
        release.wait(60)
        return "done"

    def neighbour() -> None:
        go.wait(60)

    kitchen = Kitchen.of(spec(late, timeout_ms=10), neighbour)
    table = RunningTable.create(str(tmp_path / "w.table"), 4)
    tokens = [*await kitchen.submit(late), *await kitchen.submit(neighbour)]
    worker = await kitchen.worker(running=table, timeout_grace_s=0.02, grace_s=60)
    running = asyncio.create_task(worker.run())
    counters = kitchen.telemetry.counters

    await kitchen.until(lambda: counters["worker.draining"] == 1)
    release.set()
    await kitchen.until(lambda: counters["settles.outcomes"] == 1)
    go.set()
    code = await asyncio.wait_for(running, 60)

    row = await kitchen.store.find(tokens[0])
    assert row is not None
    assert (code, row.state, row.result) == (RECYCLE, State.SUCCEEDED, b'"done"')
    assert (table.has_will, table.will()) == (True, [])
    assert (counters["job.timed_out"], counters["job.retried"], counters["job.failed"]) == (0, 0, 0)


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
