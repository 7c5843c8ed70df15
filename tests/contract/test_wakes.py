"""Wake-ups: they make things quick, and nothing depends on them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from rota.model.slot import place_of
from rota.store.port import Blame, Store, Wake, Woken
from tests.contract.outcomes import failed, given_back, retry, succeeded
from tests.contract.shop import KILLED, OVENS, Shop, tokens

HEARD_WITHIN_S = 30.0

pytestmark = pytest.mark.sample


class Listener:
    """Somebody who listens through a handle, as another process does."""

    def __init__(self, store: Store, name: str) -> None:
        self.heard: list[Wake] = []
        self._news = asyncio.Event()
        self.stop = store.listen(name, self._hear)

    def _hear(self, wake: Wake) -> None:
        self.heard.append(wake)
        self._news.set()

    async def until(self, is_it: Callable[[Wake], bool]) -> Wake:
        """Return the first wake-up that fits; fail if none comes."""
        async with asyncio.timeout(HEARD_WITHIN_S):
            while True:
                self._news.clear()
                for wake in self.heard:
                    if is_it(wake):
                        return wake
                await self._news.wait()


def has_slot(slot: int) -> Callable[[Wake], bool]:
    """Whether a wake-up speaks of this slot, or of all."""
    return lambda wake: wake.woken is None or slot in [news.slot for news in wake.woken]


async def listener_for(shop: Shop, store: Store) -> Listener:
    """Return the ear of a worker that has just been registered, when the news of itself is past."""
    worker = await shop.worker()
    return Listener(store, f"worker-{worker.id}")


def slots(woken: object) -> list[int]:
    """Return the slots of these news, in order."""
    assert isinstance(woken, list | tuple)
    return sorted({news.slot for news in woken if isinstance(news, Woken)})


async def test_a_submit_names_the_slots_that_got_work(shop: Shop) -> None:
    """A wake-up that names them spares a worker the look at a thousand."""
    reply = await shop.store.submit([shop.job(slot=9), shop.job("mitte", slot=4), shop.job(slot=9)])

    assert slots(list(reply.woken)) == [4, 9]


async def test_news_carry_the_lowest_place(shop: Shop) -> None:
    """A cursor that has passed it must come back that far."""
    low, high = shop.job(slot=9, priority=-5), shop.job(slot=9, priority=5)
    (news,) = (await shop.store.submit([low, high])).woken
    seq = (await shop.row(high.token)).seq
    assert seq is not None

    assert news.place <= place_of(5, seq)


async def test_a_job_for_later_wakes_nobody(shop: Shop) -> None:
    """There is nothing to do yet."""
    reply = await shop.store.submit([shop.job(delay=60), shop.job("mitte", delay=60)])

    assert list(reply.woken) == []


async def test_a_job_that_falls_due_in_a_moment_is_told(shop: Shop) -> None:
    """Its worker sets a timer for it; otherwise a delay of a second would last until somebody's slow look."""
    reply = await shop.store.submit([shop.job(slot=4, delay=1), shop.job("mitte", slot=9, delay=2)])

    assert slots(list(reply.woken)) == [4, 9]


async def test_what_a_claim_has_staged_and_left_is_told_to_its_worker_too(shop: Shop) -> None:
    """It has old places, before where the cursors of its slots may be by now."""
    await shop.submit(*[shop.job(slot=slot, delay=60) for slot in (3, 4, 5)])
    worker = await shop.worker()
    ear = Listener(shop.store, f"worker-{worker.id}")
    shop.clock.advance(61)

    await worker.claim_one()

    await ear.until(lambda wake: has_slot(4)(wake) and has_slot(5)(wake))


async def test_a_job_given_back_names_its_slot(shop: Shop) -> None:
    """Another worker may have free hands."""
    token = await shop.submit_one(shop.job(slot=4))
    worker = await shop.worker()

    (news,) = (await worker.settle(given_back(await worker.claim_one()))).woken

    assert tokens(await worker.claim(slots=[news.slot], cursors=[news.place])) == [token]


async def test_a_repeat_wakes_nobody(shop: Shop) -> None:
    """It brought nothing."""
    job = shop.job()
    await shop.submit(job)

    assert list((await shop.store.submit([job])).woken) == []


async def test_a_settle_names_the_slots_of_the_next_in_line(shop: Shop) -> None:
    """The key's next job is ready in this instant, and often its worker is free."""
    await shop.submit(shop.job("mitte", slot=3), shop.job("mitte", slot=3), shop.job("wedding", slot=5))
    worker = await shop.worker()

    reply = await worker.settle(*map(succeeded, await worker.claim()))

    assert slots(list(reply.woken)) == [3]


async def test_the_place_of_the_next_in_line_finds_it(shop: Shop) -> None:
    """It may be older than what the worker has seen since: its cursor must be lowered to it."""
    await shop.submit(shop.job("mitte", slot=3), shop.job("mitte", slot=3))
    worker = await shop.worker()
    job = await worker.claim_one()
    await shop.submit(*[shop.job(slot=3) for _ in range(3)])
    await worker.claim()

    (news,) = (await worker.settle(succeeded(job))).woken

    assert len(await worker.claim(slots=[3], cursors=[news.place])) == 1


async def test_a_cancelled_head_names_the_slot_of_the_next(shop: Shop) -> None:
    """Otherwise the key would wait for somebody's slow look."""
    first, second = await shop.submit(shop.job("mitte", slot=3), shop.job("mitte", slot=3))

    (news,) = (await shop.store.cancel(first)).woken

    assert tokens(await (await shop.worker()).claim(slots=[news.slot], cursors=[news.place])) == [second]


async def test_a_release_names_the_slots_of_what_it_put_back(shop: Shop) -> None:
    """Recovery is as quick as the news of it."""
    jobs = await shop.submit(shop.job(slot=3), shop.job("mitte", slot=8))
    victim, worker = await shop.worker(), await shop.worker()
    await victim.claim()

    released = await shop.lose(victim)

    claimed = [
        token
        for news in released.woken
        for token in tokens(await worker.claim(slots=[news.slot], cursors=[news.place]))
    ]
    assert sorted(claimed) == sorted(jobs)


async def test_a_reopening_names_its_slot(shop: Shop) -> None:
    """A person is watching."""
    token = await shop.submit_one(shop.job(slot=3))
    worker = await shop.worker()
    await worker.settle(failed(await worker.claim_one()))

    (news,) = await shop.store.reopen(token)

    assert tokens(await worker.claim(slots=[news.slot], cursors=[news.place])) == [token]


async def test_a_submit_is_heard_by_others(shop: Shop, other_store: Store) -> None:
    """Idle pick-up within a millisecond or two, without asking all the time."""
    listener = await listener_for(shop, other_store)

    await shop.submit(shop.job(slot=9))

    await listener.until(has_slot(9))


async def test_a_release_is_heard_by_others(shop: Shop, other_store: Store) -> None:
    """What was put back is for those who are still there."""
    await shop.submit(shop.job(slot=9))
    victim = await shop.worker()
    await victim.claim()
    listener = await listener_for(shop, other_store)

    await shop.lose(victim)

    await listener.until(has_slot(9))


async def test_a_settle_s_next_in_line_is_heard_by_others(shop: Shop, other_store: Store) -> None:
    """The worker that settled may not be the one that owns the key by now."""
    await shop.submit(shop.job("mitte", slot=9), shop.job("mitte", slot=9))
    worker = await shop.worker()
    job = await worker.claim_one()
    listener = await listener_for(shop, other_store)

    await worker.settle(succeeded(job))

    await listener.until(has_slot(9))


async def test_who_waits_for_a_result_hears_of_it(shop: Shop, other_store: Store) -> None:
    """`token.result()` returns when the job is done, not at the next look."""
    token = await shop.submit_one(shop.job())
    worker = await shop.worker()
    job = await worker.claim_one()
    listener = Listener(other_store, "wait-1")

    await worker.settle(succeeded(job))

    await listener.until(lambda wake: wake.settled is None or token in wake.settled)


async def test_who_waits_for_a_result_hears_of_a_cancel(shop: Shop, other_store: Store) -> None:
    """That is an end too."""
    token = await shop.submit_one(shop.job())
    listener = Listener(other_store, "wait-1")

    await shop.store.cancel(token)

    await listener.until(lambda wake: wake.settled is None or token in wake.settled)


async def test_the_worker_hears_that_its_job_is_to_be_cancelled(shop: Shop, other_store: Store) -> None:
    """A run of an hour should end now, not at its next renewal."""
    token = await shop.submit_one(shop.job())
    worker = await shop.worker(store=other_store)
    await worker.claim()
    listener = Listener(other_store, f"worker-{worker.id}")

    await shop.store.cancel(token)

    await listener.until(lambda wake: token in wake.cancels)


async def test_a_change_of_the_ring_is_heard(shop: Shop, other_store: Store) -> None:
    """Everyone's share may be another now."""
    listener = await listener_for(shop, other_store)

    await shop.worker()

    await listener.until(lambda wake: wake.is_epoch)


async def test_a_new_suspect_is_heard(shop: Shop, other_store: Store) -> None:
    """A supervisor must start a process for it."""
    node = await shop.node()
    listener = Listener(other_store, f"node-{node.id}")

    await shop.suspect(shop.job())

    await listener.until(lambda wake: wake.is_alone)


async def test_a_resumed_queue_is_heard(shop: Shop, other_store: Store) -> None:
    """Its workers have stopped asking."""
    await shop.submit(shop.job(slot=9))
    await shop.store.set_paused(OVENS, True)
    listener = await listener_for(shop, other_store)

    await shop.store.set_paused(OVENS, False)

    await listener.until(has_slot(9))


async def test_what_is_told_by_hand_is_heard(shop: Shop, other_store: Store) -> None:
    """A caller whose own transaction carried the job tells the others after its commit."""
    queue_id = (await shop.worker()).registered.queue_ids[OVENS]
    listener = await listener_for(shop, other_store)

    shop.store.tell(Wake(woken=[Woken(queue_id=queue_id, slot=9, place=0)]))

    await listener.until(has_slot(9))


async def test_who_has_stopped_listening_hears_no_more(shop: Shop, other_store: Store) -> None:
    """A call into something that has been taken down would be an error in the log, every time."""
    workers = [await shop.worker() for _ in range(2)]
    # Both at once: through a pooler a store tells once that something may have been missed, and nothing else.
    gone, there = (Listener(other_store, f"worker-{worker.id}") for worker in workers)
    gone.stop()
    before = len(gone.heard)

    await shop.submit(shop.job(slot=9))
    await there.until(has_slot(9))

    assert len(gone.heard) == before


async def test_without_any_wake_up_everything_is_found(shop: Shop) -> None:
    """Wake-ups may be lost: whoever looks with its cursors at zero finds all that there is."""
    first = await shop.submit(*[shop.job("mitte") for _ in range(3)], shop.job(), shop.job(delay=60))
    worker = await shop.worker()
    done = await worker.work()
    shop.clock.advance(60)
    await shop.submit(shop.job())
    job = await worker.claim_one()
    await worker.settle(retry(job, shop.at(0)))
    await worker.settle(given_back(await worker.claim_one()))
    victim = await shop.worker()
    await victim.claim()
    await shop.store.close_worker(victim.id)
    await shop.release(victim, Blame(running=(), failure=KILLED))

    done += await worker.work()

    assert set(first) <= set(done)
    assert [row.waiting + row.scheduled + row.running for row in await shop.store.queues()] == [0]
