"""Finished jobs lie in partitions by their tokens: made ahead, dropped whole, and never in the way of a settle."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from datetime import timedelta
from uuid import UUID

import msgspec
import pytest

from rota.model.state import State
from rota.store.postgres.store import PostgresStore
from rota.testing.clock import ManualClock
from tests.contract.outcomes import failed, retry, succeeded
from tests.contract.shop import CountingEntropy, Shop
from tests.postgres.house import House, open_house
from tests.postgres_server import PostgresServer

pytestmark = pytest.mark.postgres

DAY = timedelta(days=1)
WEEK = timedelta(days=7)


async def tend(house: House, retention: timedelta = WEEK) -> int:
    """See to the partitions, as the pruner does."""
    return await house.store.tend_partitions(house.shop.at(-retention))


async def prune(house: House, retention: timedelta = WEEK) -> int:
    """Remove what goes row by row, as the pruner does."""
    return await house.store.prune(house.shop.at(-retention))


async def partitions(house: House) -> list[str]:
    """Return the names of all partitions of this test's time."""
    names = [
        record["part"] for record in await house.look.fetch("SELECT part FROM list_partitions() WHERE NOT is_rest")
    ]
    return [name for name in names if name.startswith("finished_2026010") or name.startswith("finished_2026011")]


async def place_of(house: House, token: bytes) -> str | None:
    """Return the table in which a finished job lies."""
    name: str | None = await house.look.fetchval(
        "SELECT tableoid::regclass::text FROM finished WHERE token = $1", UUID(bytes=token)
    )
    return name


async def done(house: House, *, age: timedelta = timedelta(0)) -> bytes:
    """Return the token of a job that has just succeeded."""
    token = await house.shop.submit_one(house.shop.job(token=house.shop.token(age=age)))
    await (await house.shop.worker()).work()
    return token


async def test_days_to_come_are_made_ahead(server: PostgresServer, clock: ManualClock) -> None:
    """A settle finds its partition there, today and when nobody has kept the house for a night."""
    async with open_house(server, clock) as house:
        await tend(house)
        assert await partitions(house) == ["finished_20260101", "finished_20260102", "finished_20260103"]

        token = await done(house)
        clock.advance(DAY)
        await tend(house)

        assert await place_of(house, token) == "finished_20260101"
        assert await partitions(house) == [f"finished_2026010{day}" for day in (1, 2, 3, 4)]


async def test_a_new_schema_begins_with_partitions(server: PostgresServer, clock: ManualClock) -> None:
    """Also one that no node serves yet: the first jobs must not lie in the way of the first partition."""
    async with open_house(server, clock) as house:
        begins = await house.look.fetchval(
            "SELECT bool_or(token_at((extract(epoch FROM now()) * 1000)::bigint) BETWEEN lower AND upper) "
            "FROM list_partitions()"
        )

        assert begins


async def test_a_settle_needs_no_partition(server: PostgresServer, clock: ManualClock) -> None:
    """Nobody has kept the house for a week: what was done is recorded all the same, and found."""
    async with open_house(server, clock) as house:
        token = await done(house)

        assert await place_of(house, token) == "finished_rest"
        assert await house.shop.state(token) is State.SUCCEEDED


async def test_a_day_that_began_without_a_partition_ends_without(server: PostgresServer, clock: ManualClock) -> None:
    """Its jobs stay where they are; the days after it get theirs."""
    async with open_house(server, clock) as house:
        first = await done(house)
        await tend(house)
        second = await done(house)
        clock.advance(DAY)
        third = await done(house)

        assert await partitions(house) == ["finished_20260102", "finished_20260103"]
        assert [await place_of(house, token) for token in (first, second, third)] == [
            "finished_rest",
            "finished_rest",
            "finished_20260102",
        ]


async def test_a_partition_is_dropped_whole(server: PostgresServer, clock: ManualClock) -> None:
    """No row of it is touched: that is why there are partitions. With it goes what happened to its jobs."""
    async with open_house(server, clock) as house:
        await tend(house)
        token = await house.shop.submit_one(house.shop.job())
        worker = await house.shop.worker()
        await worker.settle(retry(await worker.claim_one(), house.shop.at(0)))
        await worker.settle(failed(await worker.claim_one()))
        clock.advance(8 * DAY - timedelta(minutes=1))
        assert await prune(house) == 0
        await tend(house)
        assert await house.shop.state(token) is State.FAILED

        clock.advance(timedelta(minutes=2))
        await tend(house)

        assert "finished_20260101" not in await partitions(house)
        assert await house.store.find(token) is None
        assert await house.store.history(token) == []


async def test_a_late_settle_keeps_its_partition(server: PostgresServer, clock: ManualClock) -> None:
    """Retention counts from the end of a job, however old its token is; the others of its day go one by one."""
    async with open_house(server, clock) as house:
        await tend(house)
        early, late = await house.shop.submit(house.shop.job(), house.shop.job())
        worker = await house.shop.worker()
        await worker.settle(succeeded(await worker.claim_one()))
        job = await worker.claim_one()
        clock.advance(8 * DAY)
        await worker.settle(succeeded(job))
        clock.advance(DAY)

        await tend(house)
        assert await prune(house) == 1
        assert await house.store.states([early, late]) == {late: State.SUCCEEDED}

        clock.advance(WEEK)
        await tend(house)
        assert await house.store.states([early, late]) == {}


async def test_history_of_a_job_that_still_waits_is_kept(server: PostgresServer, clock: ManualClock) -> None:
    """Its neighbours' partition goes, and the job that backs off for a month has not ended."""
    async with open_house(server, clock) as house:
        await tend(house)
        worker = await house.shop.worker()
        await done(house)
        token = await house.shop.submit_one(house.shop.job())
        await worker.settle(retry(await worker.claim_one(), house.shop.at(30 * DAY)))
        clock.advance(9 * DAY)

        await tend(house)

        assert "finished_20260101" not in await partitions(house)
        assert await house.shop.told(token) == ["failed"]
        clock.advance(22 * DAY)
        await worker.work()
        assert await place_of(house, token) == "finished_rest"


async def test_a_token_that_may_come_again_keeps_its_partition(server: PostgresServer, clock: ManualClock) -> None:
    """Whatever the retention: within a day it may be submitted again, and must be recognised."""
    async with open_house(server, clock) as house:
        await tend(house)
        clock.advance(timedelta(hours=23))
        job = house.shop.job()
        await house.shop.submit(job)
        await (await house.shop.worker()).work()
        clock.advance(timedelta(hours=23))

        await tend(house, retention=timedelta(hours=1))

        assert (await house.store.submit([job])).duplicates == {job.token}
        clock.advance(timedelta(hours=3))
        await tend(house, retention=timedelta(hours=1))
        assert await house.store.states([job.token]) == {}


async def test_long_retention_makes_wide_partitions(server: PostgresServer, clock: ManualClock) -> None:
    """A look-up by many tokens opens every partition: there must not be hundreds."""
    async with open_house(server, clock) as house:
        await tend(house, retention=365 * DAY)

        widths = await house.look.fetch(
            "SELECT (token_ms(upper) - token_ms(lower)) / 86400000 AS days FROM list_partitions() "
            "WHERE part = 'finished_20260101'"
        )

        assert [record["days"] for record in widths] == [30]


async def test_a_lock_in_the_way_is_waited_out(server: PostgresServer, clock: ManualClock) -> None:
    """A dump holds every table for hours: nothing fails, nothing waits long, and it is done afterwards."""
    async with open_house(server, clock) as house:
        await tend(house)
        token = await done(house)
        clock.advance(9 * DAY)
        dump = await house.connect()
        await dump.execute("BEGIN; SELECT count(*) FROM finished")

        assert await tend(house) == 0
        assert await house.shop.state(token) is State.SUCCEEDED
        assert "finished_20260109" not in await partitions(house)

        await dump.execute("COMMIT")
        await dump.close()
        await tend(house)
        assert await house.store.states([token]) == {}
        assert "finished_20260110" in await partitions(house)


async def test_settles_go_on_while_partitions_are_made_and_dropped(server: PostgresServer, clock: ManualClock) -> None:
    """House-keeping is nobody's outage: no settle fails, and none waits so long for a lock that it would."""
    async with open_house(server, clock) as house, AsyncExitStack() as after:
        await tend(house)
        stop = asyncio.Event()
        settled: list[bytes] = []
        other = await PostgresStore.open(house.url, clock=clock, schema=house.schema)
        after.push_async_callback(other.close)

        async def work() -> None:
            shop = Shop(other, clock, CountingEntropy(clock, seed=1))
            shop.entropy._count = 1_000_000
            worker = await shop.worker()
            while not stop.is_set():
                token = await shop.submit_one(shop.job())
                await worker.settle(succeeded(await worker.claim_one()))
                settled.append(token)

        working = asyncio.create_task(work())
        for _ in range(12):
            clock.advance(DAY)
            before = len(settled)
            await tend(house)
            while len(settled) == before and not working.done():
                await asyncio.sleep(0.001)
        stop.set()
        await working

        # What could not be locked at once, as the server was vacuuming it, is left for the next time.
        async with asyncio.timeout(30):
            await tend(house)
            while (await partitions(house))[0] <= "finished_20260103":
                await tend(house)


async def test_two_keepers_of_the_house_do_it_once(server: PostgresServer, clock: ManualClock) -> None:
    """For a moment two nodes may believe to have it."""
    async with open_house(server, clock) as house, AsyncExitStack() as after:
        other = await PostgresStore.open(house.url, clock=clock, schema=house.schema)
        after.push_async_callback(other.close)
        await tend(house)
        await done(house)
        clock.advance(9 * DAY)

        before = house.shop.at(-WEEK)
        await asyncio.gather(*(store.tend_partitions(before) for store in (house.store, other) * 4))
        await tend(house)

        assert await partitions(house) == [f"finished_202601{day}" for day in ("03", "10", "11", "12")]


async def test_a_look_up_by_token_opens_one_partition(server: PostgresServer, clock: ManualClock) -> None:
    """With a year of partitions it costs what it costs with one."""
    async with open_house(server, clock) as house:
        for _ in range(8):
            await tend(house)
            token = await done(house)
            clock.advance(DAY)
        await house.look.execute("SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off")
        await house.look.execute("PREPARE one(uuid) AS SELECT state FROM finished WHERE token = $1")
        await house.look.execute(
            "PREPARE many(uuid[]) AS SELECT x.state FROM unnest($1) u(token) "
            "CROSS JOIN LATERAL (SELECT f.state FROM finished f WHERE f.token = u.token LIMIT 1) x"
        )

        one = await opened(house, f"EXECUTE one('{UUID(bytes=token)}')")
        many = await opened(house, f"EXECUTE many(ARRAY['{UUID(bytes=token)}']::uuid[])")

        assert one == many == {"finished_20260108"}


async def opened(house: House, statement: str) -> set[str]:
    """Return the tables that a statement really read."""
    (text,) = await house.look.fetchrow(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}")
    waiting, found = [msgspec.json.decode(text)[0]["Plan"]], set()
    while waiting:
        node = waiting.pop()
        waiting += node.get("Plans", [])
        if node.get("Relation Name") and node["Actual Loops"]:
            found.add(node["Relation Name"])
    return found
