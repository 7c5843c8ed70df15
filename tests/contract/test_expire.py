"""What nobody has started in time is dropped, also where no worker comes."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from rota.model.state import State
from tests.contract.outcomes import failed, retry, snooze
from tests.contract.shop import Shop

HOUR = timedelta(hours=1)


async def test_a_job_that_no_worker_came_to_expires(shop: Shop) -> None:
    """Lunch is over: the offer of the day is not baked in the evening."""
    token = await shop.submit_one(shop.job(expires_at=shop.at(60)))
    kept = await shop.submit_one(shop.job(expires_at=shop.at(HOUR)))
    shop.clock.advance(60)

    assert await shop.store.expire() == 1

    row = await shop.row(token)
    assert (row.state, row.settled_at, row.started_at, row.attempts) == (State.EXPIRED, shop.clock.now_us(), None, 0)
    assert await shop.state(kept) == State.WAITING


async def test_before_its_time_nothing_expires(shop: Shop) -> None:
    """The last microsecond counts."""
    token = await shop.submit_one(shop.job(expires_at=shop.at(60)))
    shop.clock.advance(timedelta(seconds=60) - timedelta(microseconds=1))

    assert await shop.store.expire() == 0
    assert await shop.state(token) == State.WAITING


async def test_a_job_of_a_paused_queue_expires(shop: Shop) -> None:
    """A pause keeps the door shut; time goes on."""
    token = await shop.submit_one(shop.job(expires_at=shop.at(60)))
    await shop.store.set_paused("ovens", True)
    shop.clock.advance(60)

    assert await shop.store.expire() == 1
    assert await shop.state(token) == State.EXPIRED


async def test_a_scheduled_job_can_expire(shop: Shop) -> None:
    """Planned for after its own end: it will never be wanted."""
    token = await shop.submit_one(shop.job(delay=HOUR, expires_at=shop.at(60)))
    shop.clock.advance(60)

    assert await shop.store.expire() == 1
    assert await shop.state(token) == State.EXPIRED


async def test_what_runs_is_left_to_its_worker(shop: Shop) -> None:
    """It was started in time."""
    token = await shop.submit_one(shop.job(expires_at=shop.at(60)))
    worker = await shop.worker()
    job = await worker.claim_one()
    shop.clock.advance(60)

    assert await shop.store.expire() == 0
    assert list((await worker.settle(failed(job))).stale) == []
    assert await shop.state(token) == State.FAILED


async def test_what_was_tried_once_does_not_expire(shop: Shop) -> None:
    """A retry is still wanted."""
    token = await shop.submit_one(shop.job(expires_at=shop.at(60)))
    worker = await shop.worker()
    await worker.settle(retry(await worker.claim_one(), shop.at(30)))
    shop.clock.advance(60)

    assert await shop.store.expire() == 0
    assert await shop.state(token) != State.EXPIRED


async def test_an_expired_head_lets_the_next_of_its_key_go(shop: Shop) -> None:
    """The first in the line has left; the second is served."""
    late = await shop.submit_one(shop.job("mitte", expires_at=shop.at(60)))
    later = await shop.submit_one(shop.job("mitte", expires_at=shop.at(60)))
    last = await shop.submit_one(shop.job("mitte"))
    shop.clock.advance(60)

    assert await shop.store.expire() == 2

    assert [await shop.state(token) for token in (late, later)] == [State.EXPIRED] * 2
    assert await (await shop.worker()).work() == [last]


async def test_it_is_done_in_portions(shop: Shop) -> None:
    """A million of them must not hold everybody up."""
    await shop.submit(*[shop.job(expires_at=shop.at(60)) for _ in range(12)])
    shop.clock.advance(60)

    assert [await shop.store.expire(5) for _ in range(4)] == [5, 5, 2, 0]


async def test_two_at_once_expire_each_job_once(shop: Shop) -> None:
    """Two nodes believed to have the house."""
    tokens = await shop.submit(*[shop.job("mitte" if no % 2 else None, expires_at=shop.at(60)) for no in range(20)])
    shop.clock.advance(60)

    done = await asyncio.gather(*[shop.store.expire(15) for _ in range(2)])

    assert sum(done) + await shop.store.expire() == len(tokens)
    assert {await shop.state(token) for token in tokens} == {State.EXPIRED}
    assert (await shop.store.finished_counts())[State.EXPIRED] == len(tokens)


async def test_an_expired_job_can_be_put_back(shop: Shop) -> None:
    """A person wants it all the same: it is not dropped a second time."""
    token = await shop.submit_one(shop.job(expires_at=shop.at(60)))
    shop.clock.advance(60)
    await shop.store.expire()

    await shop.store.reopen(token)

    assert await shop.store.expire() == 0
    assert await (await shop.worker()).work() == [token]


async def test_what_was_started_and_comes_back_later_does_not_expire(shop: Shop) -> None:
    """It was wanted by then, and it was begun in time: a handler that polls must be allowed to come back to it."""
    token = await shop.submit_one(shop.job(expires_at=shop.at(60)))
    worker = await shop.worker()
    await worker.settle(snooze(await worker.claim_one(), shop.at(120)))
    shop.clock.advance(60)

    assert await shop.store.expire() == 0
    assert await shop.state(token) == State.SCHEDULED

    shop.clock.advance(60)
    assert (await worker.claim_one()).expires_at is None
