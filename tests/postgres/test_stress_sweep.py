"""The sweep, for what we did not think of: planted by hand, healed by several at once, while others submit to some keys."""

from __future__ import annotations

import asyncio

import pytest

from rota.store.postgres.store import PostgresStore
from rota.testing.clock import ManualClock
from tests.postgres.house import House, open_house
from tests.postgres_server import PostgresServer

KEYS = [f"key {number}" for number in range(40)]
BUSY_KEYS = 15
SWEEPERS = 3
LOST_BY_CLOSED = 7
EMPTY_CLAIMS = 5

pytestmark = pytest.mark.postgres


async def test_the_sweep_heals_what_was_planted(server: PostgresServer, clock: ManualClock) -> None:
    """Keys that nobody knows of, jobs that a closed worker holds without a claims row, claims rows of nothing."""
    async with open_house(server, clock) as house:
        tokens = await house.shop.submit(*[house.shop.job(key) for key in KEYS for _ in range(3)])
        tokens += await house.shop.submit(*[house.shop.job() for _ in range(LOST_BY_CLOSED)])
        worker = await house.shop.worker()
        await _plant(house)
        assert await worker.claim(1_000) == []

        stores = [await PostgresStore.open(house.url, clock=clock, schema=house.schema) for _ in range(SWEEPERS)]
        more = [house.shop.job(key) for key in KEYS[:BUSY_KEYS]]
        swept = await asyncio.gather(*(store.sweep() for store in stores), *(house.store.submit([job]) for job in more))
        again = await house.store.sweep()
        for store in stores:
            await store.close()

        sums = [
            sum(getattr(reply, name) for reply in swept[:SWEEPERS])
            for name in ("keys_without_head", "jobs_of_closed_workers", "claims_rows_dropped")
        ]
        # Two sweeps may see the same key before one of them heals it; and a submit to it heals it as well.
        assert sums[0] >= len(KEYS) - BUSY_KEYS
        assert sums[1:] == [LOST_BY_CLOSED, EMPTY_CLAIMS]
        assert again.total == 0
        done = await worker.work()
        assert sorted(done) == sorted([*tokens, *(job.token for job in more)])
        # Of each key in order: places in ``tokens`` rise, and what came later comes last.
        for number in range(len(KEYS)):
            line = [*tokens[3 * number : 3 * number + 3], *(job.token for job in more[number : number + 1])]
            assert [token for token in done if token in line] == line


async def test_a_healthy_crowd_gives_the_sweep_nothing_to_do(server: PostgresServer, clock: ManualClock) -> None:
    """It would heal what is only on its way: a job that has just been claimed, a key that is being staged."""
    async with open_house(server, clock) as house:
        worker = await house.shop.worker()
        total = 0
        for turn in range(10):
            jobs = [house.shop.job(KEYS[(turn + number) % 7]) for number in range(10)]
            replies = await asyncio.gather(
                house.store.sweep(), house.store.submit(jobs), worker.work(), house.store.sweep()
            )
            total += replies[0].total + replies[3].total
        await worker.work()

        assert total == 0


async def _plant(house: House) -> None:
    """Do what no crash of ours does."""
    shop = house.shop
    gone = await shop.worker("mitte/gone")
    # Heads and turns of all keys, forgotten.
    await house.look.execute("UPDATE live SET head = false, ready = false WHERE key IS NOT NULL; DELETE FROM turns")
    # Jobs of a closed worker, whose claims row is lost.
    claimed = await gone.claim(LOST_BY_CLOSED)
    assert len(claimed) == LOST_BY_CLOSED
    await house.store.close_worker(gone.id)
    await house.look.execute("DELETE FROM claims")
    # Claims rows of jobs that are not there.
    for _ in range(EMPTY_CLAIMS):
        await house.look.execute("INSERT INTO claims (worker, tokens) VALUES ($1, ARRAY[gen_random_uuid()])", gone.id)
