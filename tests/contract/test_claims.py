"""Taking jobs: only what is ready, by place, each to one worker, each time under a higher fence."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from rota.errors import NodeClosedError
from rota.model.slot import place_of
from rota.model.state import State
from rota.store.port import Store
from tests.contract.outcomes import given_back
from tests.contract.shop import ALL_SLOTS, Shop, tokens


async def test_an_empty_queue_gives_nothing(shop: Shop) -> None:
    """A worker asks far more often than there is something; that must be plain."""
    reply = await (await shop.worker()).ask()

    assert (list(reply.jobs), reply.is_paused) == ([], False)


async def test_a_claimed_job_is_running_and_names_its_holder(shop: Shop) -> None:
    """People ask who has it and since when."""
    token = await shop.submit_one(shop.job())
    worker = await shop.worker("mitte/7")

    await worker.claim()

    row = await shop.row(token)
    assert (row.state, row.holder, row.claimed_at) == (State.RUNNING, "mitte/7", shop.clock.now_us())


async def test_a_claimed_job_is_not_claimed_again(shop: Shop) -> None:
    """One job, one worker: not even the same worker gets it twice."""
    await shop.submit(shop.job(), shop.job("mitte"))
    worker, colleague = await shop.worker(), await shop.worker()
    assert len(await worker.claim()) == 2

    assert await worker.claim() == []
    assert await colleague.claim() == []


async def test_jobs_of_other_slots_are_left_alone(shop: Shop) -> None:
    """The ring says who is preferred for which slot; a claim keeps to what it was asked for."""
    await shop.submit(shop.job(slot=1), shop.job("mitte", slot=1))
    mine = await shop.submit(shop.job(slot=2), shop.job("wedding", slot=2))
    worker = await shop.worker()

    assert tokens(await worker.claim(slots=[2, 3])) == mine


async def test_jobs_of_other_queues_are_left_alone(shop: Shop) -> None:
    """A queue of its own is how slow work is kept from quick work."""
    await shop.submit(shop.job(queue="letters"))
    token = await shop.submit_one(shop.job())
    worker = await shop.worker(queues=["ovens", "letters"])

    assert tokens(await worker.claim()) == [token]


async def test_no_slots_give_no_jobs(shop: Shop) -> None:
    """A worker that is not in the ring yet owns none."""
    await shop.submit(shop.job())

    assert await (await shop.worker()).claim(slots=[]) == []


async def test_a_claim_takes_no_more_than_asked(shop: Shop) -> None:
    """Hands are few: what is hoarded cannot be taken by others."""
    jobs = [shop.job(slot=number) for number in range(10)]
    await shop.submit(*jobs)
    worker = await shop.worker()

    assert [len(await worker.claim(4)) for _ in range(4)] == [4, 4, 2, 0]


async def test_a_claim_takes_a_thousand_at_once(shop: Shop) -> None:
    """Quick jobs are not worth a round trip each."""
    await shop.submit(*[shop.job() for _ in range(1_010)])
    worker = await shop.worker()

    assert len(await worker.claim(1_000)) == 1_000


async def test_higher_priority_goes_first_within_a_slot(shop: Shop) -> None:
    """The express order is baked before the pile."""
    normal, low, high = (shop.job(slot=5, priority=priority) for priority in (0, -100, 100))
    await shop.submit(normal, low, high)
    worker = await shop.worker()

    assert [(await worker.claim_one()).token for _ in range(3)] == tokens([high, normal, low])


async def test_higher_priority_goes_first_across_slots(shop: Shop) -> None:
    """A job does not choose its slot; its priority must count against those of the others too."""
    jobs = [shop.job(slot=slot, priority=priority) for slot, priority in ((9, 0), (8, 50), (7, -50), (6, 100))]
    await shop.submit(*jobs)

    claimed = await (await shop.worker()).claim(slots=[9, 8, 7, 6])

    assert [job.priority for job in claimed] == [100, 50, 0, -50]


async def test_equal_priority_goes_by_the_order_of_accept(shop: Shop) -> None:
    """Nobody is overtaken by a later job that landed in a luckier slot."""
    jobs = [shop.job(slot=slot) for slot in (700, 3, 512, 3, 0, 1_023)]
    await shop.submit(*jobs)

    assert tokens(await (await shop.worker()).claim()) == tokens(jobs)


async def test_the_slot_that_is_named_first_is_served(shop: Shop) -> None:
    """A worker rotates its slots: if the order did not count, the last ones would starve behind a busy first."""
    await shop.submit(*[shop.job(slot=1) for _ in range(5)])
    last = await shop.submit_one(shop.job(slot=2))
    worker = await shop.worker()

    assert tokens(await worker.claim(1, slots=[2, 1])) == [last]


async def test_only_jobs_whose_task_the_worker_knows_are_taken(shop: Shop) -> None:
    """In a rolling deploy the old workers leave the new jobs to the new ones, instead of failing them."""
    new = await shop.submit_one(shop.job(task="fry", slot=4))
    old = await shop.submit_one(shop.job(task="bake", slot=4))
    old_worker, new_worker = await shop.worker(tasks=["bake"]), await shop.worker(tasks=["bake", "fry"])

    assert tokens(await old_worker.claim()) == [old]
    assert tokens(await new_worker.claim()) == [new]


async def test_a_hundred_unknown_jobs_do_not_hide_a_known_one(shop: Shop) -> None:
    """The old workers must go on working while new jobs pile up in front of theirs."""
    await shop.submit(*[shop.job(task="fry", slot=4) for _ in range(100)])
    known = await shop.submit_one(shop.job(task="bake", slot=4))

    assert tokens(await (await shop.worker(tasks=["bake"])).claim(1)) == [known]


async def test_a_paused_queue_gives_nothing_and_says_so(shop: Shop) -> None:
    """The worker should know the reason, so that it does not ask at full speed."""
    await shop.submit(shop.job(), shop.job("mitte"))
    worker = await shop.worker()
    await shop.store.set_paused("ovens", True)

    reply = await worker.ask()

    assert (list(reply.jobs), reply.is_paused) == ([], True)


async def test_a_cursor_spares_what_lies_before_it(shop: Shop) -> None:
    """The cursor is what keeps a claim quick while old entries cannot be cleaned away."""
    early, late = shop.job(slot=6), shop.job(slot=6)
    await shop.submit(early, late)
    seq = (await shop.row(late.token)).seq
    assert seq is not None

    claimed = await (await shop.worker()).claim(slots=[6], cursors=[place_of(0, seq)])

    assert tokens(claimed) == [late.token]


async def test_a_cursor_at_the_place_of_the_news_finds_the_job(shop: Shop) -> None:
    """What wakes a worker must be enough to find what it was woken for, whatever the priority."""
    worker = await shop.worker()
    for priority in (-100, 0, 100):
        job = shop.job(slot=8, priority=priority)
        (woken,) = (await shop.store.submit([job])).woken

        claimed = await worker.claim(slots=[woken.slot], cursors=[woken.place])

        assert tokens(claimed) == [job.token]


async def test_each_slot_has_a_cursor_of_its_own(shop: Shop) -> None:
    """One busy slot must not hide another's older job."""
    old, new = shop.job(slot=1), shop.job(slot=2)
    await shop.submit(old, new)
    seq = (await shop.row(new.token)).seq
    assert seq is not None

    claimed = await (await shop.worker()).claim(slots=[2, 1], cursors=[place_of(0, seq), 0])

    assert tokens(claimed) == tokens([old, new])


async def test_a_job_that_falls_due_is_found_behind_the_cursor(shop: Shop) -> None:
    """It has an old number, and nobody but the claim that stages it can know: it must not wait for a slow sweep."""
    early = await shop.submit_one(shop.job(slot=6, delay=60))
    late = await shop.submit_one(shop.job(slot=6))
    worker = await shop.worker()
    (job,) = await worker.claim()
    assert job.token == late
    shop.clock.advance(60)

    assert tokens(await worker.claim(slots=[6], cursors=[place_of(0, job.seq + 1)])) == [early]


async def test_every_claim_raises_the_fence_by_one(shop: Shop) -> None:
    """The fence is what tells the newest run from all before it, also in the user's own database."""
    await shop.submit(shop.job())
    worker = await shop.worker()
    fences = []
    for _ in range(3):
        job = await worker.claim_one()
        fences.append(job.fence)
        await worker.settle(given_back(job))

    assert fences == [1, 2, 3]


async def test_a_claim_alone_is_no_failed_attempt(shop: Shop) -> None:
    """A job that is given back ten times in a deploy has not used up its retries."""
    await shop.submit(shop.job())
    worker = await shop.worker()
    for _ in range(3):
        job = await worker.claim_one()
        await worker.settle(given_back(job))

        assert job.attempts == 0


async def test_two_who_claim_at_once_never_share_a_job(shop: Shop, other_store: Store) -> None:
    """The promise of the product: a job is not run by two workers at once."""
    jobs = [shop.job(f"key {number}" if number % 2 else None) for number in range(120)]
    await shop.submit(*jobs)
    workers = [await shop.worker(store=store) for store in (shop.store, other_store) * 2]

    async def take(number: int) -> list[bytes]:
        slots = [*ALL_SLOTS[number * 200 :], *ALL_SLOTS[: number * 200]]
        mine: list[bytes] = []
        while claimed := await workers[number].claim(7, slots=slots):
            mine += tokens(claimed)
        return mine

    taken = [token for part in await asyncio.gather(*map(take, range(4))) for token in part]

    assert sorted(taken) == sorted(tokens(jobs))


async def test_jobs_of_one_claim_carry_its_number(shop: Shop) -> None:
    """A dead worker's jobs are found by the few rows of its claims."""
    await shop.submit(*[shop.job() for _ in range(4)])
    worker = await shop.worker()
    first, second = await worker.claim(2), await worker.claim(2)

    assert len({job.claim_no for job in first}) == len({job.claim_no for job in second}) == 1
    assert first[0].claim_no != second[0].claim_no


async def test_a_closed_worker_takes_nothing(shop: Shop) -> None:
    """Declared dead, it may be alive and slow: what it took now, nobody would ever release."""
    token = await shop.submit_one(shop.job())
    worker = await shop.worker()
    await shop.store.close_worker(worker.id)

    with pytest.raises(NodeClosedError):
        await worker.claim()

    assert (await shop.row(token)).holder is None


async def test_an_empty_queue_tells_a_closed_worker_too(shop: Shop) -> None:
    """A worker that was declared dead should learn of it at its next question, not at its next job."""
    worker = await shop.worker()
    await shop.store.close_worker(worker.id)

    with pytest.raises(NodeClosedError):
        await worker.claim()


async def test_a_suspect_is_not_taken_with_the_others(shop: Shop) -> None:
    """A job that has killed two processes would take its neighbours with it."""
    suspect = await shop.suspect(shop.job())
    innocent = await shop.submit_one(shop.job())

    assert tokens(await (await shop.worker()).claim()) == [innocent]
    assert await shop.state(suspect) == State.WAITING


async def test_a_claim_reports_the_epoch(shop: Shop) -> None:
    """A worker with an old ring learns it from its next claim."""
    worker = await shop.worker()
    before = (await worker.ask()).epoch

    await shop.worker()

    assert before == worker.registered.epoch
    assert (await worker.ask()).epoch > before


async def test_a_claim_without_stage_takes_what_is_ready(shop: Shop) -> None:
    """A look at many slots is cheap when it need not care for what falls due."""
    later = await shop.submit_one(shop.job(delay=60))
    token = await shop.submit_one(shop.job())
    shop.clock.advance(timedelta(minutes=2))
    worker = await shop.worker()

    assert tokens((await worker.ask(stages=False)).jobs) == [token]
    assert tokens(await worker.claim()) == [later]


async def test_a_thief_leaves_keyed_jobs_to_their_own_worker_for_a_while(shop: Shop) -> None:
    """Its cache is warm: only when it has plainly been busy is another better than none."""
    first, keyless, second = await shop.submit(shop.job("mitte", slot=2), shop.job(slot=2), shop.job("wedding", slot=2))
    submitted_at = shop.clock.now_us()
    thief = await shop.worker()

    assert tokens((await thief.ask(slots=[2], keyed_before=submitted_at)).jobs) == [keyless]
    assert tokens((await thief.ask(slots=[2], keyed_before=submitted_at + 1)).jobs) == [first, second]


async def test_a_hundred_keyed_jobs_do_not_hide_a_keyless_one_from_a_thief(shop: Shop) -> None:
    """Help is wanted where it is possible."""
    await shop.submit(*[shop.job(f"customer {number}", slot=2) for number in range(100)])
    keyless = await shop.submit_one(shop.job(slot=2))

    reply = await (await shop.worker()).ask(1, slots=[2], keyed_before=0)

    assert tokens(reply.jobs) == [keyless]


async def test_a_job_names_its_queue(shop: Shop) -> None:
    """A worker of many queues wakes its own claims by this number."""
    await shop.submit(shop.job(queue="letters"))
    worker = await shop.worker(queues=["ovens", "letters"])

    (job,) = await worker.claim(queue="letters")

    assert job.queue_id == worker.registered.queue_ids["letters"]
