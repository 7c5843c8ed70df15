"""Promise P5, sentence by sentence: the jobs of a key run one at a time, each after the one before has been settled."""

from __future__ import annotations

import asyncio

from rota.model.state import State
from rota.store.port import Blame, Store
from tests.contract.outcomes import cancelled, expired, failed, given_back, retry, snooze, succeeded
from tests.contract.shop import KILLED, OVENS, Shop, tokens


async def test_a_key_has_one_head(shop: Shop) -> None:
    """Two jobs of one customer at once is what a key is there to prevent."""
    first, *rest = await shop.submit(*[shop.job("mitte") for _ in range(3)])
    worker = await shop.worker()

    assert tokens(await worker.claim()) == [first]
    assert [(await shop.row(token)).is_head for token in (first, *rest)] == [True, False, False]


async def test_nobody_else_gets_the_next_while_the_head_runs(shop: Shop) -> None:
    """One at a time means across all workers."""
    await shop.submit(*[shop.job("mitte") for _ in range(3)])
    holder, colleague = await shop.worker(), await shop.worker()
    await holder.claim()

    assert await colleague.claim() == []


async def test_a_key_is_worked_off_in_the_order_of_accept(shop: Shop) -> None:
    """Paid, then shipped, then refunded: any other order is wrong."""
    worker = await shop.worker()
    submitted = [await shop.submit_one(shop.job("mitte")) for _ in range(5)]

    assert await worker.work() == submitted


async def test_a_batch_keeps_its_order_within_a_key(shop: Shop) -> None:
    """Jobs of one transaction keep their order."""
    jobs = [shop.job("mitte" if number % 3 else "wedding") for number in range(30)]
    await shop.submit(*jobs)

    started = await (await shop.worker()).work()

    for key in ("mitte", "wedding"):
        of_key = [job.token for job in jobs if job.key == key]
        assert [token for token in started if token in of_key] == of_key


async def test_different_keys_run_side_by_side(shop: Shop) -> None:
    """One slow customer must not hold up the others, not even one who shares the slot."""
    jobs = [shop.job(f"customer {number}", slot=77) for number in range(5)]
    await shop.submit(*jobs)

    assert tokens(await (await shop.worker()).claim()) == tokens(jobs)


async def test_the_same_key_in_two_queues_is_two_keys(shop: Shop) -> None:
    """Order is per queue and key: the newsletter to a customer does not wait for his order."""
    order, letter = await shop.submit(shop.job("mitte"), shop.job("mitte", queue="letters"))
    worker = await shop.worker(queues=["ovens", "letters"])

    assert tokens(await worker.claim(queue=OVENS)) == [order]
    assert tokens(await worker.claim(queue="letters")) == [letter]


async def test_a_retry_keeps_its_turn(shop: Shop) -> None:
    """The payment that failed for a moment must still come before the shipping."""
    first, second = await shop.submit(shop.job("mitte"), shop.job("mitte"))
    worker = await shop.worker()
    await worker.settle(retry(await worker.claim_one(), shop.at(60)))

    assert await worker.claim() == []
    shop.clock.advance(60)

    assert await worker.work() == [first, second]


async def test_a_snooze_keeps_its_turn(shop: Shop) -> None:
    """A job that waits for the bank to open must not be overtaken by its successor."""
    first, second = await shop.submit(shop.job("mitte"), shop.job("mitte"))
    worker = await shop.worker()
    await worker.settle(snooze(await worker.claim_one(), shop.at(60)))

    assert await worker.claim() == []
    shop.clock.advance(60)

    assert await worker.work() == [first, second]


async def test_a_job_that_is_given_back_keeps_its_turn(shop: Shop) -> None:
    """A deploy in the middle must not shuffle anybody's jobs."""
    first, second = await shop.submit(shop.job("mitte"), shop.job("mitte"))
    worker = await shop.worker()
    await worker.settle(given_back(await worker.claim_one()))

    assert await worker.work() == [first, second]


async def test_a_crash_keeps_the_turn(shop: Shop) -> None:
    """The order must hold also when the machine falls over between two jobs: that is when it is needed."""
    first, second = await shop.submit(shop.job("mitte"), shop.job("mitte"))
    victim = await shop.worker()
    await victim.claim()
    await shop.lose(victim, running=[first])

    assert await shop.head("mitte") == first
    assert await (await shop.worker()).work() == [first, second]


async def test_a_suspect_keeps_its_turn(shop: Shop) -> None:
    """What waits to be run alone is still to be done before what comes after it."""
    first = await shop.suspect(shop.job("mitte"))
    second = await shop.submit_one(shop.job("mitte"))
    worker = await shop.worker()

    assert await worker.claim() == []

    alone = await shop.worker(is_alone=True)
    await alone.settle(*map(succeeded, await alone.claim_alone()))
    assert await shop.state(first) == State.SUCCEEDED
    assert await worker.work() == [second]


async def test_a_job_scheduled_for_later_holds_up_nobody(shop: Shop) -> None:
    """The reminder for next week does not stop today's orders."""
    later, now = await shop.submit(shop.job("mitte", delay=3_600), shop.job("mitte"))
    worker = await shop.worker()

    assert await worker.work() == [now]
    assert await shop.state(later) == State.SCHEDULED


async def test_a_scheduled_job_that_is_due_takes_its_place_among_those_not_yet_head(shop: Shop) -> None:
    """Accepted first, it goes before those that were accepted after it, as soon as it may run at all."""
    scheduled, running, waiting = await shop.submit(shop.job("mitte", delay=60), shop.job("mitte"), shop.job("mitte"))
    worker = await shop.worker()
    job = await worker.claim_one()
    assert job.token == running
    shop.clock.advance(60)
    assert await worker.claim() == []

    await worker.settle(succeeded(job))

    assert await worker.work() == [scheduled, waiting]


async def test_a_head_is_not_displaced(shop: Shop) -> None:
    """Whose turn it is has been told to a worker already; a job that falls due waits for it."""
    scheduled, head = await shop.submit(shop.job("mitte", delay=60), shop.job("mitte"))
    worker = await shop.worker()
    await worker.settle(given_back(await worker.claim_one()))
    shop.clock.advance(60)

    assert await worker.work() == [head, scheduled]


async def test_a_head_that_backs_off_is_not_displaced(shop: Shop) -> None:
    """A retry keeps its turn also against a job that was accepted earlier and falls due meanwhile."""
    scheduled, head = await shop.submit(shop.job("mitte", delay=60), shop.job("mitte"))
    worker = await shop.worker()
    await worker.settle(retry(await worker.claim_one(), shop.at(120)))
    shop.clock.advance(60)

    assert await worker.claim() == []
    shop.clock.advance(60)
    assert await worker.work() == [head, scheduled]


async def test_several_that_fall_due_together_go_in_the_order_of_accept(shop: Shop) -> None:
    """Not by their due times: the place was given when they were accepted."""
    first, second, third = await shop.submit(*[shop.job("mitte", delay=delay) for delay in (30, 20, 10)])
    shop.clock.advance(60)

    assert await (await shop.worker()).work() == [first, second, third]


async def test_a_key_with_nothing_but_scheduled_jobs_waits_for_the_first_to_fall_due(shop: Shop) -> None:
    """Its turn begins when it may run, even if an earlier one may not yet."""
    late, soon = await shop.submit(shop.job("mitte", delay=120), shop.job("mitte", delay=60))
    worker = await shop.worker()
    assert await worker.claim() == []
    shop.clock.advance(60)

    assert await worker.work() == [soon]
    assert await shop.state(late) == State.SCHEDULED


async def test_a_reopened_job_takes_the_last_place(shop: Shop) -> None:
    """Its turn is over; those that came meanwhile must not wait for a second thought."""
    first, *rest = await shop.submit(*[shop.job("mitte") for _ in range(3)])
    worker = await shop.worker()
    await worker.settle(failed(await worker.claim_one()))

    await shop.store.reopen(first)

    assert await worker.work() == [*rest, first]


async def test_priority_does_not_reorder_a_key(shop: Shop) -> None:
    """Urgent or not, the refund comes after the payment."""
    first, second = await shop.submit(shop.job("mitte", priority=-50), shop.job("mitte", priority=100))

    assert await (await shop.worker()).work() == [first, second]


async def test_a_head_goes_by_its_own_priority_among_other_keys(shop: Shop) -> None:
    """Between customers priority does count."""
    slow, quick = await shop.submit(shop.job("mitte", slot=5), shop.job("wedding", slot=5, priority=10))

    assert tokens(await (await shop.worker()).claim()) == [quick, slow]


async def test_a_cancelled_head_lets_the_next_go(shop: Shop) -> None:
    """Taking back the first order must not freeze the rest."""
    first, second, third = await shop.submit(*[shop.job("mitte") for _ in range(3)])

    await shop.store.cancel(first)

    assert await (await shop.worker()).work() == [second, third]


async def test_a_cancelled_head_that_backs_off_lets_the_next_go(shop: Shop) -> None:
    """It holds the key's turn while it waits; the turn must go on with its end."""
    first, second = await shop.submit(shop.job("mitte"), shop.job("mitte"))
    worker = await shop.worker()
    await worker.settle(retry(await worker.claim_one(), shop.at(3_600)))

    await shop.store.cancel(first)

    assert await worker.work() == [second]


async def test_a_cancel_in_the_middle_leaves_the_others_in_order(shop: Shop) -> None:
    """Only what was named goes."""
    first, second, third = await shop.submit(*[shop.job("mitte") for _ in range(3)])

    await shop.store.cancel(second)

    assert await (await shop.worker()).work() == [first, third]


async def test_every_final_outcome_lets_the_next_go(shop: Shop) -> None:
    """A dead letter is kept for a person, and people are slow: the key does not wait for them."""
    jobs = await shop.submit(*[shop.job("mitte") for _ in range(5)])
    worker = await shop.worker()
    started = []
    for outcome in (succeeded, failed, cancelled, expired, succeeded):
        job = await worker.claim_one()
        started.append(job.token)
        await worker.settle(outcome(job))

    assert started == jobs


async def test_a_condemned_job_lets_the_next_go(shop: Shop) -> None:
    """The killer is out; its customer's other orders are innocent."""
    await shop.suspect(shop.job("mitte"))
    second = await shop.submit_one(shop.job("mitte"))
    alone = await shop.worker(is_alone=True)
    await alone.claim_alone()
    await shop.store.close_worker(alone.id)

    await shop.release(alone, Blame(running=None, failure=KILLED, condemns=True))

    assert await (await shop.worker()).work() == [second]


async def test_a_job_that_comes_while_the_head_runs_waits_for_it(shop: Shop) -> None:
    """An arrival does not see the runner; the key does."""
    await shop.submit(shop.job("mitte"))
    worker = await shop.worker()
    job = await worker.claim_one()

    second = await shop.submit_one(shop.job("mitte"))

    assert await worker.claim() == []
    await worker.settle(succeeded(job))
    assert await worker.work() == [second]


async def test_an_idle_key_has_no_head_and_takes_up_again(shop: Shop) -> None:
    """A customer who comes back after a year is served like a new one."""
    worker = await shop.worker()
    for _ in range(3):
        token = await shop.submit_one(shop.job("mitte"))

        assert await worker.work() == [token]
        assert await shop.head("mitte") is None


async def test_a_key_that_is_submitted_against_its_settle_never_stands_still(shop: Shop, other_store: Store) -> None:
    """The last job leaves as the next arrives: the one must see the other, or the key is forgotten."""
    worker = await shop.worker()
    await shop.submit(shop.job("mitte"))
    for _ in range(20):
        job = await worker.claim_one()

        await asyncio.gather(worker.settle(succeeded(job)), other_store.submit([shop.job("mitte")]))

    assert len(await worker.claim()) == 1


async def test_many_who_submit_one_key_at_once_make_one_head(shop: Shop, other_store: Store) -> None:
    """A burst of events of one customer arrives through every web process at the same time."""
    jobs = [shop.job("mitte") for _ in range(16)]
    await asyncio.gather(*(store.submit([job]) for store, job in zip([shop.store, other_store] * 8, jobs, strict=True)))
    first, second = await shop.worker(), await shop.worker(store=other_store)

    claimed = await asyncio.gather(first.claim(), second.claim())

    assert sum(map(len, claimed)) == 1
