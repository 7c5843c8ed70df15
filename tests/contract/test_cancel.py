"""Taking a job back: at once while it waits, by asking its worker while it runs."""

from __future__ import annotations

import pytest

from rota.model.state import State
from rota.store.port import JobFilter
from tests.contract.outcomes import cancelled, failed, given_back, retry, succeeded
from tests.contract.shop import Shop


async def test_a_waiting_job_is_cancelled_at_once(shop: Shop) -> None:
    """The customer called before the pizza was in the oven."""
    token = await shop.submit_one(shop.job())

    reply = await shop.store.cancel(token)

    row = await shop.row(token)
    assert reply.was == State.WAITING
    assert (row.state, row.settled_at) == (State.CANCELLED, shop.clock.now_us())
    assert await (await shop.worker()).claim() == []


async def test_a_scheduled_job_is_cancelled_at_once(shop: Shop) -> None:
    """Next week's reminder is not needed any more."""
    token = await shop.submit_one(shop.job(delay=3_600))

    reply = await shop.store.cancel(token)
    shop.clock.advance(3_600)

    assert reply.was == State.SCHEDULED
    assert await shop.state(token) == State.CANCELLED
    assert await (await shop.worker()).claim() == []


async def test_a_job_that_backs_off_is_cancelled_at_once(shop: Shop) -> None:
    """Between two attempts it is nobody's, and need not be run once more to be stopped."""
    token = await shop.submit_one(shop.job())
    worker = await shop.worker()
    await worker.settle(retry(await worker.claim_one(), shop.at(60)))

    assert (await shop.store.cancel(token)).was == State.SCHEDULED
    assert await shop.state(token) == State.CANCELLED


async def test_a_suspect_can_be_cancelled(shop: Shop) -> None:
    """Nobody has to wait until it has killed once more."""
    token = await shop.suspect(shop.job())

    assert (await shop.store.cancel(token)).was == State.WAITING
    assert await shop.store.alone() == []


async def test_the_worker_of_a_running_job_is_asked(shop: Shop) -> None:
    """A run cannot be undone from outside: its worker ends it in good order."""
    token = await shop.submit_one(shop.job())
    worker = await shop.worker()
    await worker.claim_one()

    reply = await shop.store.cancel(token)

    (held,) = await shop.store.held(worker.id)
    assert reply.was == State.RUNNING
    assert held.cancel_asked
    assert ((await shop.row(token)).state, (await shop.row(token)).cancel_asked) == (State.RUNNING, True)


async def test_a_run_that_was_stopped_ends_as_cancelled(shop: Shop) -> None:
    """The asking and the answer together are one end."""
    token = await shop.submit_one(shop.job())
    worker = await shop.worker()
    job = await worker.claim_one()
    await shop.store.cancel(token)

    await worker.settle(cancelled(job))

    assert await shop.state(token) == State.CANCELLED


async def test_a_run_that_was_faster_than_its_cancel_is_a_success(shop: Shop) -> None:
    """The pizza was out of the oven: saying "cancelled" would be a lie."""
    token = await shop.submit_one(shop.job())
    worker = await shop.worker()
    job = await worker.claim_one()
    await shop.store.cancel(token)

    await worker.settle(succeeded(job))

    assert await shop.state(token) == State.SUCCEEDED


@pytest.mark.parametrize("ending", ["never begun", "stopped", "faster"])
async def test_of_a_finished_job_the_state_says_what_came_of_the_wish(shop: Shop, ending: str) -> None:
    """Whether somebody asks a worker is news while it runs; a program must read the same on every engine."""
    token = await shop.submit_one(shop.job(expires_at=shop.at(3_600)))
    if ending != "never begun":
        worker = await shop.worker()
        job = await worker.claim_one()
    await shop.store.cancel(token)
    if ending != "never begun":
        await worker.settle(cancelled(job) if ending == "stopped" else succeeded(job))

    row = await shop.row(token)
    (listed,) = await shop.store.jobs(JobFilter())
    for told in (row, listed):
        assert told.state == (State.SUCCEEDED if ending == "faster" else State.CANCELLED)
        assert (told.cancel_asked, told.seq, told.due_at, told.expires_at) == (False, None, None, None)


@pytest.mark.parametrize("ending", ["crash", "given back"])
async def test_the_wish_outlives_the_run_that_it_was_told(shop: Shop, ending: str) -> None:
    """Its worker died before it could obey: the next one must not start it."""
    token = await shop.submit_one(shop.job())
    worker = await shop.worker()
    job = await worker.claim_one()
    await shop.store.cancel(token)
    if ending == "crash":
        await shop.lose(worker, running=[token])
    else:
        await worker.settle(given_back(job))

    again = await (await shop.worker()).claim_one()

    assert again.cancel_asked


async def test_a_finished_job_is_left_as_it_is(shop: Shop) -> None:
    """Too late is an answer, not an error."""
    done, dead = await shop.submit(shop.job(), shop.job())
    worker = await shop.worker()
    await worker.settle(succeeded(await worker.claim_one()))
    await worker.settle(failed(await worker.claim_one()))

    assert (await shop.store.cancel(done)).was == State.SUCCEEDED
    assert (await shop.store.cancel(dead)).was == State.FAILED
    assert await shop.store.states([done, dead]) == {done: State.SUCCEEDED, dead: State.FAILED}


async def test_cancelling_twice_is_the_same_as_once(shop: Shop) -> None:
    """The reply may have been lost."""
    token = await shop.submit_one(shop.job())
    await shop.store.cancel(token)
    before = await shop.row(token)
    shop.clock.advance(1)

    assert (await shop.store.cancel(token)).was == State.CANCELLED
    assert await shop.row(token) == before


async def test_what_was_never_submitted_cannot_be_cancelled(shop: Shop) -> None:
    """A mistyped token must not be answered with "cancelled"."""
    assert (await shop.store.cancel(shop.token())).was is None


async def test_a_cancelled_job_is_not_submitted_again(shop: Shop) -> None:
    """The slow repeat of the order arrives after its cancel."""
    job = shop.job()
    await shop.submit(job)
    await shop.store.cancel(job.token)

    reply = await shop.store.submit([job])

    assert reply.duplicates == {job.token}
    assert await shop.state(job.token) == State.CANCELLED
