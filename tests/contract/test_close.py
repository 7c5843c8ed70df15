"""Workers that are declared dead, and what becomes of their jobs."""

from __future__ import annotations

import asyncio

import pytest

from rota.errors import NotAllowedError
from rota.model.state import State
from rota.store.port import Blame, Store
from tests.contract.outcomes import retry, succeeded
from tests.contract.shop import KILLED, Shop, tokens

pytestmark = pytest.mark.sample


async def test_a_worker_is_closed_by_one_only(shop: Shop, other_store: Store) -> None:
    """Its supervisor and another node may both try."""
    worker = await shop.worker()

    closed = await asyncio.gather(*(store.close_worker(worker.id) for store in [shop.store, other_store] * 3))

    assert sorted(closed) == [False] * 5 + [True]
    assert (await shop.store.membership()).workers == []


async def test_an_open_worker_is_not_robbed(shop: Shop) -> None:
    """Released while it runs, the job would run twice."""
    token = await shop.submit_one(shop.job())
    worker = await shop.worker()
    await worker.claim()

    with pytest.raises(NotAllowedError):
        await shop.store.release(worker.id, Blame(running=(), failure=KILLED))

    assert (await shop.row(token)).holder == worker.name


async def test_all_that_a_dead_worker_held_goes_back(shop: Shop) -> None:
    """The orchestrator takes ALL unfinished jobs of the dead server and gives them to the rest."""
    jobs = await shop.submit(shop.job(), shop.job("mitte"), shop.job("wedding"), shop.job())
    worker = await shop.worker()
    await worker.claim(2)
    await worker.claim()

    released = await shop.lose(worker)

    assert sorted(released.tokens) == sorted(jobs)
    assert sorted(tokens(await (await shop.worker()).claim())) == sorted(jobs)


async def test_only_the_dead_worker_s_jobs_move(shop: Shop) -> None:
    """Everyone else keeps theirs: a crash must not be felt where nothing crashed."""
    await shop.submit(*[shop.job() for _ in range(6)])
    survivor, victim = await shop.worker(), await shop.worker()
    await survivor.claim(3)
    mine = tokens(await victim.claim(3))
    before = await shop.store.held(survivor.id)

    released = await shop.lose(victim)

    assert sorted(released.tokens) == sorted(mine)
    assert await shop.store.held(survivor.id) == before


async def test_released_jobs_keep_their_places(shop: Shop) -> None:
    """They were first in line before the crash."""
    first = await shop.submit(*[shop.job(slot=5) for _ in range(3)])
    victim = await shop.worker()
    await victim.claim()
    later = await shop.submit(shop.job(slot=5))
    await shop.lose(victim)

    assert tokens(await (await shop.worker()).claim()) == [*first, *later]


async def test_what_a_crash_interrupted_comes_before_all_that_waits(shop: Shop) -> None:
    """With a million waiting a slot's turn may be a minute away; whoever has a free hand runs it now."""
    running = await shop.submit_one(shop.job(slot=5))
    waiting = await shop.submit(*[shop.job(slot=5) for _ in range(3)])
    victim = await shop.worker()
    await victim.claim(2)
    await shop.submit(*[shop.job(slot=7, priority=priority) for priority in (0, 0, 100)])
    await shop.lose(victim, running=[running])
    worker = await shop.worker()

    assert tokens(await worker.claim(1, slots=[7])) == [running]
    assert not set(waiting) & set(tokens(await worker.claim(slots=[7])))


async def test_what_a_crash_interrupted_is_taken_once_and_its_line_with_it(shop: Shop) -> None:
    """It stands in its slot's line as well: one claim must not give it twice, nor miss what lies before it."""
    before, running, behind = await shop.submit(*[shop.job(slot=5) for _ in range(3)])
    victim = await shop.worker()
    await victim.claim()
    await shop.lose(victim, running=[running])

    claimed = await (await shop.worker()).claim(3, slots=[5])

    assert sorted(tokens(claimed)) == sorted([before, running, behind])


async def test_what_a_crash_interrupted_is_left_to_who_may_take_it(shop: Shop) -> None:
    """An unknown task, a paused queue, a queue of others, a key whose own worker is waited for: as for any job."""
    token = await shop.submit_one(shop.job("mitte", slot=5))
    victim = await shop.worker()
    await victim.claim()
    await shop.lose(victim, running=[token])
    await shop.submit(shop.job(slot=7, queue="letters"), shop.job(slot=7, task="fry"))
    fryer, writer, worker = await shop.worker(tasks=["fry"]), await shop.worker(queues=["letters"]), await shop.worker()

    assert token not in tokens(await fryer.claim(slots=[7]))
    assert token not in tokens(await writer.claim(slots=[7], queue="letters"))
    assert list((await worker.ask(slots=[7], keyed_before=shop.clock.now_us())).jobs) == []
    await shop.store.set_paused("ovens", True)
    assert await worker.claim(slots=[7]) == []
    await shop.store.set_paused("ovens", False)
    assert tokens(await worker.claim(slots=[7])) == [token]


async def test_a_second_release_finds_nothing_left(shop: Shop) -> None:
    """Two rescuers, or one that lost its reply: no crash is counted twice."""
    token = await shop.submit_one(shop.job())
    victim = await shop.worker()
    await victim.claim()
    await shop.lose(victim, running=[token])

    again = await shop.store.release(victim.id, Blame(running=[token], failure=KILLED))

    assert (list(again.tokens), list(again.suspects), again.is_complete) == ([], [], True)
    assert (await shop.row(token)).crashes == 1


async def test_a_release_after_the_next_claim_leaves_the_new_holder_alone(shop: Shop) -> None:
    """A rescuer that was held up for a minute must not take the job from who runs it now."""
    token = await shop.submit_one(shop.job())
    victim = await shop.worker()
    await victim.claim()
    await shop.lose(victim)
    holder = await shop.worker()
    await holder.claim()

    await shop.store.release(victim.id, Blame(running=None, failure=KILLED))

    row = await shop.row(token)
    assert (row.holder, row.crashes) == (holder.name, 0)


async def test_what_was_settled_before_the_death_is_not_released(shop: Shop) -> None:
    """Done is done."""
    await shop.submit(shop.job(), shop.job())
    victim = await shop.worker()
    done, lost = await victim.claim()
    await victim.settle(succeeded(done))

    released = await shop.lose(victim, running=None)

    assert list(released.tokens) == [lost.token]
    assert await shop.state(done.token) == State.SUCCEEDED


async def test_many_jobs_are_released_in_portions_until_none_is_left(shop: Shop) -> None:
    """A worker may hold thousands; the rescue must not be one huge transaction, nor stop half way."""
    jobs = [shop.job() for _ in range(1_200)]
    await shop.submit(*jobs)
    victim = await shop.worker()
    while await victim.claim(300):
        pass

    released = await shop.lose(victim)

    assert sorted(released.tokens) == sorted(tokens(jobs))
    assert len(await (await shop.worker()).work()) == 1_200


async def test_a_job_that_ran_when_its_process_died_is_a_suspect(shop: Shop) -> None:
    """It may be what killed it; the story says so and how."""
    token = await shop.submit_one(shop.job())
    victim = await shop.worker("mitte/1")
    job = await victim.claim_one()

    released = await shop.lose(victim, running=[token])

    entry = await shop.entry(token, "crashed")
    assert list(released.suspects) == [token]
    assert (entry.fence, entry.worker, entry.failure) == (job.fence, "mitte/1", KILLED)
    assert ((await shop.row(token)).crashes, (await shop.row(token)).is_alone) == (1, False)


async def test_a_job_that_had_not_started_is_not_blamed(shop: Shop) -> None:
    """It was in the process's pocket, no more."""
    running, pocketed = await shop.submit(shop.job(), shop.job())
    victim = await shop.worker()
    await victim.claim()

    released = await shop.lose(victim, running=[running])

    assert list(released.suspects) == [running]
    assert (await shop.row(pocketed)).crashes == 0
    assert "crashed" not in await shop.told(pocketed)


async def test_of_a_lost_node_all_that_was_held_is_suspect(shop: Shop) -> None:
    """Nobody can know what ran there; a job that takes whole machines down must not loop for ever."""
    jobs = await shop.submit(shop.job(), shop.job("mitte"))
    victim = await shop.worker()
    await victim.claim()

    released = await shop.lose(victim, running=None)

    assert sorted(released.suspects) == sorted(jobs)
    assert [(await shop.row(token)).crashes for token in jobs] == [1, 1]


async def test_a_drain_blames_nobody(shop: Shop) -> None:
    """A deploy that hits its grace is our doing, not the job's."""
    token = await shop.submit_one(shop.job())
    victim = await shop.worker()
    await victim.claim()
    await shop.store.close_worker(victim.id)

    released = await shop.release(victim, Blame(running=[token], failure=KILLED, forgives=True))

    assert (list(released.tokens), list(released.suspects)) == ([token], [])
    assert (await shop.row(token)).crashes == 0
    assert "crashed" not in await shop.told(token)


async def test_the_second_crash_sets_a_job_apart(shop: Shop) -> None:
    """Once may be bad luck. Twice, and it must not take a third set of neighbours with it."""
    token = await shop.suspect(shop.job())

    row = await shop.row(token)
    assert (row.crashes, row.is_alone, row.state) == (2, True, State.WAITING)
    assert [job.token for job in await shop.store.alone()] == [token]


async def test_crashes_apart_from_each_other_set_nobody_apart(shop: Shop) -> None:
    """Between them it ended by itself: it has shown that it can."""
    token = await shop.submit_one(shop.job())
    for _ in range(3):
        victim = await shop.worker()
        await victim.claim()
        await shop.lose(victim, running=[token])
        worker = await shop.worker()
        await worker.settle(retry(await worker.claim_one(), shop.at(0)))

    assert await shop.store.alone() == []


async def test_a_crash_while_alone_condemns(shop: Shop) -> None:
    """Nobody else was there: the person gets a dead letter with all that is known of the death."""
    token = await shop.suspect(shop.job())
    alone = await shop.worker(is_alone=True)
    await alone.claim_alone()
    await shop.store.close_worker(alone.id)

    released = await shop.release(alone, Blame(running=[token], failure=KILLED, condemns=True))

    row = await shop.row(token)
    assert list(released.condemned) == [token]
    assert (row.state, row.failure) == (State.FAILED, KILLED)
    assert await shop.store.alone() == []


async def test_a_job_that_was_not_running_is_not_condemned(shop: Shop) -> None:
    """The lone process died before it had begun: that proves nothing."""
    token = await shop.suspect(shop.job())
    alone = await shop.worker(is_alone=True)
    await alone.claim_alone()
    await shop.store.close_worker(alone.id)

    released = await shop.release(alone, Blame(running=(), failure=KILLED, condemns=True))

    assert (list(released.tokens), list(released.condemned)) == ([token], [])
    assert [job.token for job in await shop.store.alone()] == [token]


async def test_who_died_between_close_and_release_is_found(shop: Shop) -> None:
    """The rescuer itself may crash in the middle; the next one finds the rest of the work."""
    await shop.submit(shop.job())
    victim, idle = await shop.worker(), await shop.worker()
    await victim.claim()
    await shop.store.close_worker(victim.id)
    await shop.store.close_worker(idle.id)

    assert [row.id for row in await shop.store.closed_workers_with_jobs()] == [victim.id]

    await shop.release(victim, Blame(running=(), failure=KILLED))
    assert await shop.store.closed_workers_with_jobs() == []


async def test_a_worker_that_settled_all_and_was_closed_needs_no_rescue(shop: Shop) -> None:
    """After a clean drain there is nothing to find."""
    await shop.submit(shop.job())
    worker = await shop.worker()
    await worker.work()
    await shop.store.close_worker(worker.id)

    assert await shop.store.closed_workers_with_jobs() == []


async def test_a_close_against_a_claim_leaves_no_job_behind(shop: Shop, other_store: Store) -> None:
    """The claim and the close arrive at once: whichever wins, the job is released or was never taken."""
    for _ in range(15):
        token = await shop.submit_one(shop.job())
        worker = await shop.worker()

        await asyncio.gather(worker.claim(), other_store.close_worker(worker.id), return_exceptions=True)
        await shop.release(worker, Blame(running=(), failure=KILLED))

        assert (await shop.row(token)).holder is None
        await shop.store.cancel(token)


async def test_a_release_against_a_settle_ends_in_one_of_the_two(shop: Shop, other_store: Store) -> None:
    """The dead worker's last result is on its way while its jobs are put back: done, or waiting, never both or none."""
    for _ in range(15):
        await shop.submit(*[shop.job(f"key {number}") for number in range(6)])
        worker = await shop.worker()
        jobs = await worker.claim()
        await shop.store.close_worker(worker.id)

        rescuer = Shop(other_store, shop.clock, shop.entropy)
        await asyncio.gather(
            worker.settle(*map(succeeded, jobs)), rescuer.release(worker, Blame(running=(), failure=KILLED))
        )

        await (await shop.worker()).work()
        assert set((await shop.store.states(tokens(jobs))).values()) == {State.SUCCEEDED}
