"""A worker in this process, over a store in memory."""

from __future__ import annotations

import asyncio
import threading

import pytest

from rota.model.outcome import Failure
from rota.model.state import State
from rota.store.port import Blame
from rota.worker.current import current_job
from rota.worker.order import CLOSED, DRAINED
from tests.faults import Fault, FaultyStore, ScriptedPlan
from tests.unit.worker.kitchen import Kitchen


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


async def test_a_worker_that_is_closed_while_it_is_idle_is_told_so_by_the_members() -> None:
    """It has no slots from then on, so no claim of its own would ever be refused."""
    kitchen = Kitchen.of(echo)
    worker = await kitchen.worker(sweep_s=60)
    working = asyncio.create_task(worker.run())
    while not (seen := await kitchen.store.membership()).workers:
        await asyncio.sleep(0.001)

    await kitchen.store.close_worker(seen.workers[0].id)

    assert await asyncio.wait_for(working, 60) == CLOSED


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
