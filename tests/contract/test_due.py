"""Jobs for later: not before their time, and not long after it."""

from __future__ import annotations

from datetime import timedelta

from rota.model.state import State
from tests.contract.outcomes import retry, snooze
from tests.contract.shop import Shop, tokens


async def test_a_delayed_job_is_not_taken_early(shop: Shop) -> None:
    """ "In an hour" was the order."""
    token = await shop.submit_one(shop.job(delay=3_600))
    shop.clock.advance(timedelta(hours=1) - timedelta(microseconds=1))

    assert await (await shop.worker()).claim() == []
    assert await shop.state(token) == State.SCHEDULED


async def test_a_delayed_job_is_taken_at_its_instant(shop: Shop) -> None:
    """The instant that was named is the first at which it may run."""
    token = await shop.submit_one(shop.job(delay=3_600))
    shop.clock.advance(3_600)

    assert tokens(await (await shop.worker()).claim()) == [token]


async def test_a_job_that_is_due_is_called_waiting(shop: Shop) -> None:
    """Whether somebody has moved it yet is the store's affair; a person reads the clock."""
    token = await shop.submit_one(shop.job("mitte", delay=60))
    shop.clock.advance(60)

    assert await shop.state(token) == State.WAITING
    assert (await shop.row(token)).state == State.WAITING


async def test_a_date_in_the_past_means_now(shop: Shop) -> None:
    """A request that took a while to arrive is no reason to refuse it."""
    tokens_of = await shop.submit(shop.job(delay=-60), shop.job("mitte", delay=-60), shop.job(delay=0))

    assert sorted(tokens(await (await shop.worker()).claim())) == sorted(tokens_of)


async def test_what_falls_due_goes_by_place_like_the_others(shop: Shop) -> None:
    """Priority and order of accept hold for late comers too."""
    early = await shop.submit_one(shop.job(slot=1, delay=60))
    now = await shop.submit_one(shop.job(slot=1))
    urgent = await shop.submit_one(shop.job(slot=1, delay=60, priority=9))
    shop.clock.advance(60)

    assert tokens(await (await shop.worker()).claim()) == [urgent, early, now]


async def test_a_claim_stages_only_its_own_slots(shop: Shop) -> None:
    """Each worker looks after its share; what is not asked for is left to who owns it."""
    await shop.submit(shop.job(slot=1, delay=60))
    mine = await shop.submit_one(shop.job(slot=2, delay=60))
    shop.clock.advance(60)

    assert tokens(await (await shop.worker()).claim(slots=[2])) == [mine]


async def test_a_backoff_ends_at_its_instant(shop: Shop) -> None:
    """A retry is a job for later like another."""
    token = await shop.submit_one(shop.job())
    worker = await shop.worker()
    await worker.settle(retry(await worker.claim_one(), shop.at(10)))
    shop.clock.advance(timedelta(seconds=10) - timedelta(microseconds=1))
    assert await worker.claim() == []
    shop.clock.advance(timedelta(microseconds=1))

    assert tokens(await worker.claim()) == [token]


async def test_a_claim_tells_when_the_next_falls_due(shop: Shop) -> None:
    """The worker sleeps until then, instead of asking all the time."""
    await shop.submit(shop.job(slot=1, delay=300), shop.job(slot=2, delay=60), shop.job(slot=3, delay=5))
    worker = await shop.worker()

    reply = await worker.ask(slots=[1, 2])

    assert reply.due_in_us == 60_000_000


async def test_a_claim_tells_of_backoffs_too(shop: Shop) -> None:
    """A retry after 50 ms should not wait for the next slow look."""
    await shop.submit(shop.job(slot=1))
    worker = await shop.worker()
    await worker.settle(snooze(await worker.claim_one(), shop.at(7)))

    assert (await worker.ask(slots=[1])).due_in_us == 7_000_000


async def test_with_nothing_ahead_there_is_no_next_instant(shop: Shop) -> None:
    """Nothing to wake up for."""
    await shop.submit(shop.job(slot=1), shop.job(slot=2, delay=60))

    assert (await (await shop.worker()).ask(slots=[1])).due_in_us is None


async def test_what_is_ready_stays_ready_when_the_clock_goes_back(shop: Shop) -> None:
    """An administrator sets the clock back an hour: a job that could be claimed a moment ago still can."""
    now, later = await shop.submit(shop.job(slot=1), shop.job(slot=2, delay=60))
    worker = await shop.worker()
    shop.clock.advance(60)
    assert tokens(await worker.claim(slots=[2])) == [later]
    await shop.lose(worker)

    shop.clock.jump(-3_600)

    assert tokens(await (await shop.worker()).claim()) == [now, later]


async def test_a_clock_that_jumps_ahead_makes_due_what_it_passes(shop: Shop) -> None:
    """Due times are by the wall clock, that is what a person means by "at eight"."""
    token = await shop.submit_one(shop.job(delay=3_600))
    worker = await shop.worker()
    shop.clock.jump(3_600)

    assert tokens(await worker.claim()) == [token]


async def test_hundreds_that_fall_due_at_once_all_come(shop: Shop) -> None:
    """Midnight: a claim may stage them in portions, but must not forget any."""
    jobs = [shop.job(None if number % 2 else f"key {number}", delay=60) for number in range(600)]
    await shop.submit(*jobs)
    shop.clock.advance(60)

    assert sorted(await (await shop.worker()).work(100)) == sorted(tokens(jobs))
