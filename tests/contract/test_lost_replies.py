"""A reply lost after the commit, at every call that writes: asking again does nothing twice, and nothing is left undone.

Each case makes the call with its reply lost, makes it again, and looks. The plan is asked whether the fault has happened: a
fault that was never injected proves nothing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import pytest

from rota.errors import OutcomeUnknownError, StoreBusyError
from rota.model.state import State
from rota.store.port import Blame, NewWorker, Store
from tests.contract.outcomes import failed, succeeded
from tests.contract.shop import BAKE, KILLED, OVENS, Shop, tokens
from tests.faults import Fault, ScriptedPlan, SeededPlan, faulty_store

T = TypeVar("T")

pytestmark = pytest.mark.sample


@asynccontextmanager
async def lost_once(store: Store, method: str) -> AsyncIterator[Store]:
    """Give a store that loses the first reply of ``method``, and see that it did."""
    plan = ScriptedPlan({(method, 1): Fault.LOST_REPLY})
    yield faulty_store(store, plan)
    assert plan.is_spent


async def test_submit(shop: Shop) -> None:
    """The web process does not know whether the order is in; it orders again, and there is one pizza."""
    job = shop.job("mitte")
    async with lost_once(shop.store, "submit") as store:
        with pytest.raises(OutcomeUnknownError):
            await store.submit([job])

        assert (await store.submit([job])).duplicates == {job.token}

    assert await (await shop.worker()).work() == [job.token]


async def test_cancel(shop: Shop) -> None:
    """The second time it hears that it is cancelled."""
    first, second = await shop.submit(shop.job("mitte"), shop.job("mitte"))
    async with lost_once(shop.store, "cancel") as store:
        with pytest.raises(OutcomeUnknownError):
            await store.cancel(first)

        assert (await store.cancel(first)).was == State.CANCELLED

    assert await (await shop.worker()).work() == [second]


async def test_reopen(shop: Shop) -> None:
    """It is back in line, once."""
    token = await shop.submit_one(shop.job("mitte"))
    worker = await shop.worker()
    await worker.settle(failed(await worker.claim_one()))
    async with lost_once(shop.store, "reopen") as store:
        with pytest.raises(OutcomeUnknownError):
            await store.reopen(token)

    assert await worker.work() == [token]


async def test_claim(shop: Shop) -> None:
    """The jobs are held by a worker that has not heard of them: it looks, and adopts them."""
    submitted = await shop.submit(shop.job("mitte"), shop.job())
    worker = await shop.worker()
    async with lost_once(shop.store, "claim") as store:
        worker.store = store
        with pytest.raises(OutcomeUnknownError):
            await worker.claim()

        assert await worker.claim() == []
        adopted = await store.held(worker.id)

    assert tokens(adopted) == submitted
    assert list((await worker.settle(*map(succeeded, adopted))).stale) == []


async def test_claim_alone(shop: Shop) -> None:
    """A suspect is adopted like another."""
    token = await shop.suspect(shop.job())
    alone = await shop.worker(is_alone=True)
    async with lost_once(shop.store, "claim_alone") as store:
        alone.store = store
        with pytest.raises(OutcomeUnknownError):
            await alone.claim_alone()

        assert tokens(await store.held(alone.id)) == [token]


async def test_settle(shop: Shop) -> None:
    """Done is recognised as done, and the key's next job has been let go once."""
    first, second = await shop.submit(shop.job("mitte"), shop.job("mitte"))
    worker = await shop.worker()
    outcome = succeeded(await worker.claim_one())
    async with lost_once(shop.store, "settle") as store:
        worker.store = store
        with pytest.raises(OutcomeUnknownError):
            await worker.settle(outcome)

        assert list((await worker.settle(outcome)).stale) == []

    assert await shop.state(first) == State.SUCCEEDED
    assert await worker.work() == [second]


async def test_release(shop: Shop) -> None:
    """One death, one crash counted."""
    token = await shop.submit_one(shop.job("mitte"))
    victim = await shop.worker()
    await victim.claim()
    await shop.store.close_worker(victim.id)
    blame = Blame(running=[token], failure=KILLED)
    async with lost_once(shop.store, "release") as store:
        with pytest.raises(OutcomeUnknownError):
            await store.release(victim.id, blame)

        assert (await store.release(victim.id, blame)).is_complete

    assert (await shop.row(token)).crashes == 1
    assert await shop.told(token) == ["crashed"]


async def test_register_worker(shop: Shop) -> None:
    """One process, one place on the ring."""
    node = await shop.node()
    new = NewWorker(node.id, "mitte/1", "worker proof", [OVENS], [BAKE])
    async with lost_once(shop.store, "register_worker") as store:
        with pytest.raises(OutcomeUnknownError):
            await store.register_worker(new)

        registered = await store.register_worker(new)

    assert [row.id for row in (await shop.store.membership()).workers] == [registered.id]


async def test_close_worker(shop: Shop) -> None:
    """The second answer is "not by this call"; the release that follows does not depend on it."""
    token = await shop.submit_one(shop.job())
    victim = await shop.worker()
    await victim.claim()
    async with lost_once(shop.store, "close_worker") as store:
        with pytest.raises(OutcomeUnknownError):
            await store.close_worker(victim.id)

        assert await store.close_worker(victim.id) is False

    assert list((await shop.store.release(victim.id, Blame(running=(), failure=KILLED))).tokens) == [token]


async def test_close_node(shop: Shop) -> None:
    """Closed once, by whomever."""
    node = await shop.node()
    async with lost_once(shop.store, "close_node") as store:
        with pytest.raises(OutcomeUnknownError):
            await store.close_node(node.id, 0)

        assert await store.close_node(node.id, 0) is False

    assert (await shop.store.membership()).nodes == []


async def test_renew(shop: Shop) -> None:
    """The same number again is the same lease."""
    node = await shop.node()
    async with lost_once(shop.store, "renew") as store:
        with pytest.raises(OutcomeUnknownError):
            await store.renew(node.id, 1)

        await store.renew(node.id, 1)

    assert [row.counter for row in (await shop.store.membership()).nodes] == [1]


async def test_take_house(shop: Shop) -> None:
    """It holds the place, and hears so the second time."""
    node = await shop.node()
    async with lost_once(shop.store, "take_house") as store:
        with pytest.raises(OutcomeUnknownError):
            await store.take_house(node.id)

        assert await store.take_house(node.id) == node.id


async def test_set_paused(shop: Shop) -> None:
    """Paused is paused."""
    await shop.submit(shop.job())
    async with lost_once(shop.store, "set_paused") as store:
        with pytest.raises(OutcomeUnknownError):
            await store.set_paused(OVENS, True)

        await store.set_paused(OVENS, True)

    assert await (await shop.worker()).claim() == []


async def test_a_refused_call_has_done_nothing(shop: Shop) -> None:
    """A fault before the call is told from one after it by its error."""
    job = shop.job()
    plan = ScriptedPlan({("submit", 1): Fault.REFUSED, ("submit", 2): Fault.LOST_CALL})
    store = faulty_store(shop.store, plan)

    with pytest.raises(StoreBusyError):
        await store.submit([job])
    with pytest.raises(OutcomeUnknownError):
        await store.submit([job])

    assert await shop.store.states([job.token]) == {}
    assert (await store.submit([job])).duplicates == frozenset()


def test_a_seed_repeats_its_faults() -> None:
    """A failure that cannot be replayed cannot be mended."""
    drawn = []
    for _ in range(2):
        plan = SeededPlan(7, rate=0.3, methods={"settle"})
        drawn.append([plan.fault(method) for method in ["settle", "claim"] * 100])

    assert drawn[0] == drawn[1]
    assert {fault for fault in drawn[0] if fault} == set(Fault)
    assert drawn[0][1::2] == [None] * 100


async def answered(call: Callable[..., Awaitable[T]], *args: object) -> T:
    """Ask until there is an answer."""
    while True:
        try:
            return await call(*args)
        except OutcomeUnknownError:
            continue


async def test_a_hundred_jobs_through_a_bad_line(shop: Shop) -> None:
    """Every third reply is lost, at random; in the end each job is done once."""
    plan = SeededPlan(3, rate=0.3, kinds=[Fault.LOST_REPLY, Fault.LOST_CALL], methods={"submit", "claim", "settle"})
    store = faulty_store(shop.store, plan)
    for number in range(100):
        await answered(store.submit, [shop.job(f"key {number % 7}" if number % 2 else None)])
    worker = await shop.worker(store=store)
    runs = 0
    while (await shop.store.queues())[0].waiting:
        await answered(worker.claim, 5)
        held = await shop.store.held(worker.id)
        runs += len(held)
        stale = (await answered(store.settle, worker.id, [succeeded(job) for job in held])).stale

        assert list(stale) == []

    assert runs == (await shop.store.finished_counts())[State.SUCCEEDED] == 100
    assert plan.made.total() > 30
