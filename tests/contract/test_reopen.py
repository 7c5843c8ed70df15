"""Putting a job back by hand: a new run of the same job, under a higher fence, with its story kept."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from rota.errors import NotAllowedError, UnknownTokenError
from rota.model.job import ClaimedJob
from rota.model.outcome import Outcome
from rota.model.state import State
from rota.store.port import Blame
from tests.contract.outcomes import BURNT, cancelled, expired, failed, retry, succeeded
from tests.contract.shop import KILLED, Shop, Worker, tokens


async def ended(
    shop: Shop, outcome: Callable[[ClaimedJob], Outcome], key: str | None = None
) -> tuple[Worker, ClaimedJob]:
    """Return a worker and the job that it has finished."""
    await shop.submit(shop.job(key))
    worker = await shop.worker()
    job = await worker.claim_one()
    await worker.settle(outcome(job))
    return worker, job


@pytest.mark.parametrize("outcome", [failed, cancelled, expired])
async def test_what_did_not_succeed_can_be_put_back(shop: Shop, outcome: Callable[[ClaimedJob], Outcome]) -> None:
    """The bug is mended: the dead letter is sent again."""
    worker, job = await ended(shop, outcome)

    await shop.store.reopen(job.token)

    assert await shop.state(job.token) == State.WAITING
    assert tokens(await worker.claim()) == [job.token]


async def test_a_job_cancelled_while_it_waited_can_be_put_back(shop: Shop) -> None:
    """The customer called once more."""
    token = await shop.submit_one(shop.job("mitte"))
    await shop.store.cancel(token)

    await shop.store.reopen(token)

    assert await (await shop.worker()).work() == [token]


async def test_a_job_cancelled_while_it_ran_is_not_cancelled_again(shop: Shop) -> None:
    """The old wish is over; otherwise the reopened job would end before it starts."""
    token = await shop.submit_one(shop.job())
    worker = await shop.worker()
    job = await worker.claim_one()
    await shop.store.cancel(token)
    await worker.settle(cancelled(job))

    await shop.store.reopen(token)

    assert not (await worker.claim_one()).cancel_asked


async def test_an_expired_job_is_not_expired_again(shop: Shop) -> None:
    """Its time is over, and a person wants it all the same."""
    token = await shop.submit_one(shop.job(expires_at=shop.at(10)))
    worker = await shop.worker()
    shop.clock.advance(20)
    await worker.settle(expired(await worker.claim_one()))

    await shop.store.reopen(token)

    assert (await worker.claim_one()).expires_at is None


async def test_it_starts_with_all_its_attempts(shop: Shop) -> None:
    """One attempt only, after five failures, would be a trap for the person who put it back."""
    await shop.submit(shop.job())
    victim = await shop.worker()
    job = await victim.claim_one()
    await shop.lose(victim, running=[job.token])
    worker = await shop.worker()
    await worker.settle(retry(await worker.claim_one(), shop.at(0)))
    await worker.settle(failed(await worker.claim_one()))

    await shop.store.reopen(job.token)

    again = await worker.claim_one()
    assert (again.attempts, again.crashes) == (0, 0)


async def test_the_fence_goes_on_rising(shop: Shop) -> None:
    """The user's own database has seen the old number, and refuses what is not higher."""
    worker, job = await ended(shop, failed)

    await shop.store.reopen(job.token)

    assert (await worker.claim_one()).fence > job.fence


async def test_the_story_is_kept_and_tells_of_the_reopening(shop: Shop) -> None:
    """Why did it fail the first time? It will be asked after the second."""
    await shop.submit(shop.job())
    worker = await shop.worker()
    job = await worker.claim_one()
    await worker.settle(retry(job, shop.at(0)))
    await worker.settle(failed(await worker.claim_one()))

    await shop.store.reopen(job.token)

    told = await shop.told(job.token)
    assert told == ["failed", "failed", "reopened"]


async def test_the_error_of_the_last_run_is_kept_too(shop: Shop) -> None:
    """It was a column of the finished row, which is gone: it must have become an entry, of the run and not of the person."""
    _, job = await ended(shop, failed)
    worker = (await shop.row(job.token)).holder

    await shop.store.reopen(job.token)

    last_run, reopened = await shop.store.history(job.token)
    assert (last_run.kind, last_run.worker, last_run.failure) == ("failed", worker, BURNT)
    assert (reopened.kind, reopened.worker, reopened.failure) == ("reopened", "", None)


async def test_a_job_put_back_twice_keeps_the_error_of_its_only_run(shop: Shop) -> None:
    """Cancelled before anybody ran it again: the run of which the error speaks has the same fence."""
    _, job = await ended(shop, failed)
    await shop.store.reopen(job.token)
    await shop.store.cancel(job.token)

    await shop.store.reopen(job.token)

    last_run, reopened = await shop.store.history(job.token)
    assert (last_run.kind, last_run.failure, reopened.kind) == ("failed", BURNT, "reopened")


async def test_a_success_is_not_undone(shop: Shop) -> None:
    """Running it again would do the work twice: that is a new job."""
    _, job = await ended(shop, succeeded)

    with pytest.raises(NotAllowedError):
        await shop.store.reopen(job.token)

    assert await shop.state(job.token) == State.SUCCEEDED


async def test_a_live_job_is_not_put_back(shop: Shop) -> None:
    """It is in line already, or being run."""
    token = await shop.submit_one(shop.job())

    with pytest.raises(NotAllowedError):
        await shop.store.reopen(token)


async def test_an_unknown_job_is_told_as_unknown(shop: Shop) -> None:
    """A mistyped token should say so."""
    with pytest.raises(UnknownTokenError):
        await shop.store.reopen(shop.token())


async def test_it_takes_the_last_place(shop: Shop) -> None:
    """A thousand dead letters put back must not push aside what waits."""
    first = await shop.submit_one(shop.job(slot=5))
    worker = await shop.worker()
    await worker.settle(failed(await worker.claim_one()))
    waiting = await shop.submit_one(shop.job(slot=5))

    await shop.store.reopen(first)

    assert await worker.work() == [waiting, first]


async def test_it_behaves_like_a_new_job_of_its_key(shop: Shop) -> None:
    """Alone in its key it is the head at once."""
    worker, job = await ended(shop, failed, "mitte")

    woken = await shop.store.reopen(job.token)

    assert [news.slot for news in woken] == [job.slot]
    assert await worker.work() == [job.token]


async def test_it_waits_for_the_head_of_its_key(shop: Shop) -> None:
    """One at a time holds for second runs too."""
    worker, job = await ended(shop, failed, "mitte")
    await shop.submit(shop.job("mitte"))
    await worker.claim_one()

    await shop.store.reopen(job.token)

    assert await worker.claim() == []


async def test_its_second_run_ends_it_again(shop: Shop) -> None:
    """One record a job, of its latest run."""
    worker, job = await ended(shop, failed)
    await shop.store.reopen(job.token)

    await worker.settle(succeeded(await worker.claim_one(), b'"at last"'))

    row = await shop.row(job.token)
    assert (row.state, row.result, row.failure) == (State.SUCCEEDED, b'"at last"', None)
    assert (await shop.store.finished_counts()).get(State.FAILED, 0) == 0


async def test_a_settle_repeated_after_the_reopening_does_not_undo_it(shop: Shop) -> None:
    """The worker never got its reply and asks again, after a person has put the job back: the person was later."""
    worker, job = await ended(shop, failed)
    await shop.store.reopen(job.token)

    await worker.settle(failed(job))

    assert await shop.state(job.token) == State.WAITING
    assert await worker.work() == [job.token]


async def test_a_suspect_that_was_condemned_gets_a_fresh_start(shop: Shop) -> None:
    """The leak is mended: it may run among others again."""
    token = await shop.suspect(shop.job())
    alone = await shop.worker(is_alone=True)
    await alone.claim_alone()
    await shop.store.close_worker(alone.id)
    await shop.release(alone, Blame(running=[token], failure=KILLED, condemns=True))

    await shop.store.reopen(token)

    assert await shop.store.alone() == []
    assert await (await shop.worker()).work() == [token]


async def test_submitting_it_again_after_the_reopening_is_still_a_repeat(shop: Shop) -> None:
    """The token goes on standing for the same job."""
    job = shop.job()
    await shop.submit(job)
    worker = await shop.worker()
    await worker.settle(failed(await worker.claim_one()))
    await shop.store.reopen(job.token)

    assert (await shop.store.submit([job])).duplicates == {job.token}
    assert await worker.work() == [job.token]
