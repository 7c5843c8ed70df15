"""Higher priority first, though a worker takes few jobs at a time and owns a thousand slots."""

from __future__ import annotations

import random

import pytest

from rota.model.job import ClaimedJob
from rota.model.slot import place_of, slot_of
from rota.worker.slots import SlotBook
from tests.contract.outcomes import succeeded
from tests.contract.shop import ALL_SLOTS, OVENS, Shop, Worker


class Baker:
    """A worker with few hands: it claims as a real one does, by its book of slots."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.book = SlotBook(ALL_SLOTS)
        self.widths: list[int] = []

    async def takes(self, limit: int) -> list[ClaimedJob]:
        """Claim once and settle what came."""
        slots, cursors = self.book.next_probe(limit)
        self.widths.append(len(slots))
        claim = await self.worker.store.claim(
            self.worker.id,
            self.worker.registered.queue_ids[OVENS],
            slots,
            limit,
            tasks=tuple(self.worker.registered.task_ids.values()),
            cursors=cursors,
            stages=self.book.unstaged(slots),
        )
        self.book.told(slots, claim.jobs, claim.skipped, is_full=len(claim.jobs) >= limit, ranks=claim.ranks)
        await self.worker.store.settle(self.worker.id, [succeeded(job) for job in claim.jobs])
        return list(claim.jobs)

    async def empties(self, limit: int) -> list[int]:
        """Claim until nothing is left; return the priorities as they came."""
        came: list[int] = []
        while self.book.has_suspects:
            came += [job.priority for job in await self.takes(limit)]
        return came


@pytest.mark.parametrize("limit", [1, 8])
@pytest.mark.parametrize("spread", [(-100, 100), (0, 1), (-1, 0)], ids=str)
async def test_small_claims_take_by_priority_what_waits(shop: Shop, limit: int, spread: tuple[int, int]) -> None:
    """Also a worker that has just been started: it finds the backlog and no news."""
    chance = random.Random(7)
    keys = [None if number % 9 else f"key {number}" for number in range(120)]
    jobs = [shop.job(key, priority=chance.randint(*spread)) for key in keys]
    await shop.submit(*jobs)
    baker = Baker(await shop.worker())

    came = await baker.empties(limit)

    assert came == sorted((job.priority for job in jobs), reverse=True)


@pytest.mark.parametrize("limit", [1, 8])
async def test_what_is_urgent_is_next_once_it_was_told(shop: Shop, limit: int) -> None:
    """Hundreds of ordinary jobs wait in other slots."""
    await shop.submit(*[shop.job() for _ in range(400)])
    baker = Baker(await shop.worker())
    for _ in range(3):
        await baker.takes(limit)
    for priority in (100, -5, 50):
        job = shop.job(priority=priority)
        await shop.submit(job)
        seq = (await shop.row(job.token)).seq
        assert seq is not None
        baker.book.heard(slot_of(job.hash16), place_of(priority, seq), is_staged=True)

    priorities = [job.priority for _ in range(10) for job in await baker.takes(limit)]

    assert priorities == [100, 50, *[0] * (10 * limit - 2)]


async def test_what_is_ordinary_is_next_while_all_that_waits_is_less(shop: Shop) -> None:
    """Its place looks like any other, so the news of it does not say that priorities differ; twice, since the first leaves."""
    await shop.submit(*[shop.job(slot=slot, priority=-1) for slot in range(400)])
    baker = Baker(await shop.worker())
    for _ in range(3):
        await baker.takes(1)

    for _ in range(2):
        job = shop.job(slot=900)
        await shop.submit(job)
        seq = (await shop.row(job.token)).seq
        assert seq is not None
        baker.book.heard(900, place_of(0, seq), is_staged=True)

        assert [job.priority for job in await baker.takes(1)] == [0]


async def test_what_came_back_is_next_though_it_has_an_old_place(shop: Shop) -> None:
    """Given back by a drain, or released: its place is before all fronts that are known."""
    await shop.submit(*[shop.job(priority=number % 5) for number in range(300)])
    urgent = await shop.submit_one(shop.job(priority=5))
    holder = await shop.worker()
    held = await holder.claim_one()
    assert held.token == urgent
    baker = Baker(await shop.worker())
    for _ in range(3):
        await baker.takes(1)

    await shop.lose(holder)
    baker.book.heard(held.slot, place_of(held.priority, held.seq), is_staged=True)

    assert [job.token for job in await baker.takes(1)] == [urgent]


async def test_small_claims_are_narrow_when_priorities_are_no_longer_mixed(shop: Shop) -> None:
    """To look into a thousand slots costs a millisecond."""
    await shop.submit(*[shop.job(priority=number // 200) for number in range(201)])
    baker = Baker(await shop.worker())

    for _ in range(5):
        await baker.takes(1)

    assert baker.widths[0] == 1_024
    assert baker.widths[3:] == [32, 32]
