"""What only this engine has: connections that break, callers that go together, migrations, wake-ups by LISTEN."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import chain
from uuid import UUID

import asyncpg
import pytest
from msgspec import structs

from rota.errors import (
    OutcomeUnknownError,
    SchemaVersionError,
    StoreBusyError,
    StoreReadOnlyError,
    StoreUnavailableError,
    TokenReusedError,
)
from rota.model.limits import MIB, PRIORITY_MAX, PRIORITY_MIN
from rota.model.slot import place_of, slot_of
from rota.model.state import State
from rota.store.port import Wake, Woken
from rota.store.postgres.migrate import migrate
from rota.store.postgres.server import Server, quoted, without_secrets
from rota.store.postgres.store import PostgresStore
from rota.testing.clock import ManualClock
from tests.contract.outcomes import retry, succeeded
from tests.contract.shop import OVENS, CountingEntropy, Shop, tokens
from tests.postgres.case import fresh
from tests.postgres_server import PostgresServer

pytestmark = pytest.mark.postgres


class House:
    """A schema of this test's own, its store, and a connection to look behind the store's back."""

    def __init__(
        self, url: str, schema: str, clock: ManualClock, store: PostgresStore, look: asyncpg.Connection
    ) -> None:
        self.url, self.schema, self.clock = url, schema, clock
        self.store = store
        self.look = look
        self.shop = Shop(store, clock, CountingEntropy(clock))

    async def end_backends(self, but: int = 0) -> None:
        """End every backend of our stores."""
        await self.look.execute(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE application_name = $1 AND pid <> $2",
            f"rota {self.schema}",
            but,
        )


@asynccontextmanager
async def _house(server: PostgresServer, clock: ManualClock, schema: str | None = None) -> AsyncIterator[House]:
    schema = schema or server.fresh_schema()
    await migrate(server.url, schema=schema)
    store = await PostgresStore.open(server.url, clock=clock, schema=schema)
    look = await asyncpg.connect(server.url)
    try:
        await look.execute(f"SET search_path = {quoted(schema)}")
        yield House(server.url, schema, clock, store, look)
    finally:
        await store.close()
        await look.execute(f"DROP SCHEMA {quoted(schema)} CASCADE")
        await look.close()


async def test_a_submit_whose_connection_broke_can_be_made_again(server: PostgresServer, clock: ManualClock) -> None:
    """Nobody knows whether it was done; asked again, it must be in once, also when it has been run meanwhile."""
    async with _house(server, clock) as house:
        job = fresh(house.shop.job())
        await house.look.execute("BEGIN; LOCK TABLE live IN SHARE ROW EXCLUSIVE MODE")
        submitting = asyncio.create_task(house.store.submit([job]))
        await _blocked(house)
        await house.end_backends()
        with pytest.raises(OutcomeUnknownError):
            await submitting
        await house.look.execute("ROLLBACK")

        await house.store.submit([structs.replace(job, is_fresh=False)])
        await (await house.shop.worker()).work()
        again = await house.store.submit([job])

        assert again.duplicates == {job.token}
        assert await house.shop.state(job.token) is State.SUCCEEDED


async def test_a_look_up_survives_a_lost_connection(server: PostgresServer, clock: ManualClock) -> None:
    """It writes nothing, so it is simply made again."""
    async with _house(server, clock) as house:
        token = await house.shop.submit_one(house.shop.job())
        await house.end_backends()

        assert await house.shop.state(token) is State.WAITING


async def test_a_look_that_finds_nothing_does_not_wait_for_the_disk(server: PostgresServer, clock: ManualClock) -> None:
    """A hundred idle workers look once a second each. What a claim took must be on disk before it is run, though."""
    async with _house(server, clock) as house:
        worker = await house.shop.worker()
        queue_id, tasks = worker.registered.queue_ids[OVENS], list(worker.registered.task_ids.values())

        async def commits() -> str:
            async with house.look.transaction():
                await house.look.execute(
                    "SELECT FROM claim_jobs($1, $2, $3, $4, NULL, 10, $5, NULL, NULL)",
                    *(clock.now_us(), worker.id, queue_id, list(range(1024)), tasks),
                )
                return str(await house.look.fetchval("SHOW synchronous_commit"))

        assert await commits() == "off"
        await house.shop.submit_one(house.shop.job())
        assert await commits() == "on"
        await house.shop.submit_one(house.shop.job())
        await house.store.set_paused(OVENS, True)
        assert await commits() == "off"
        assert await house.look.fetchval("SHOW synchronous_commit") == "on"


async def test_who_asks_for_a_place_that_is_taken_waits_for_nobody(server: PostgresServer, clock: ManualClock) -> None:
    """Every node asks every two seconds; as long as somebody has the house, that is a look."""
    async with _house(server, clock) as house:
        node = await house.shop.node()
        await house.store.take_house(node.id)
        await house.look.execute("BEGIN; SELECT FROM house FOR UPDATE")

        async with asyncio.timeout(5):
            assert await house.store.take_house(node.id) == node.id


async def test_a_deadlock_is_tried_again(server: PostgresServer, clock: ManualClock) -> None:
    """The server has undone everything: the caller need not know."""
    async with _house(server, clock) as house:
        await house.look.execute(
            "CREATE SEQUENCE calls; CREATE FUNCTION unlucky(p_calls integer) RETURNS bigint LANGUAGE plpgsql AS $$ "
            f"DECLARE n bigint := nextval('{house.schema}.calls'); BEGIN IF n < p_calls THEN "
            "RAISE EXCEPTION 'deadlock' USING ERRCODE = '40P01'; END IF; RETURN n; END $$"
        )
        server_of_ours = Server(house.url, house.schema)

        assert await server_of_ours.value("unlucky", 4) == 4
        with pytest.raises(StoreBusyError):
            await server_of_ours.call("unlucky", 1_000)
        await server_of_ours.close()


async def test_a_server_that_is_not_there_is_named(clock: ManualClock) -> None:
    """Nothing was written, and the person is told where we looked, without the password."""
    with pytest.raises(StoreUnavailableError, match=r"127\.0\.0\.1:1/shop") as caught:
        await PostgresStore.open("postgresql://cook:secret@127.0.0.1:1/shop", clock=clock)

    assert "secret" not in str(caught.value)
    assert "secret" not in without_secrets("postgresql://cook:secret@127.0.0.1:1/shop?password=secret")


async def test_a_port_that_cannot_be_is_an_address_to_look_at(clock: ManualClock) -> None:
    """One digit too many: the socket's own error is of another kind than those of the network."""
    with pytest.raises(StoreUnavailableError, match=r"port must be 0-65535.* is the address right\?"):
        await PostgresStore.open("postgresql:///shop?host=127.0.0.1&port=54321111", clock=clock)


async def test_a_server_that_may_not_be_written_says_so(server: PostgresServer, clock: ManualClock) -> None:
    """A standby is found out at the first submit, and nothing is half done."""
    async with _house(server, clock) as house:
        await house.shop.submit(house.shop.job())
        await house.look.execute(
            f"ALTER DATABASE {quoted(_database(house.url))} SET default_transaction_read_only = on"
        )
        try:
            await house.end_backends()
            with pytest.raises(StoreReadOnlyError):
                await _until_connected(lambda: house.store.submit([house.shop.job()]))
        finally:
            await house.look.execute("SET default_transaction_read_only = off")
            await house.look.execute(
                f"ALTER DATABASE {quoted(_database(house.url))} RESET default_transaction_read_only"
            )


async def test_callers_at_the_same_time_share_commits(server: PostgresServer, clock: ManualClock) -> None:
    """A commit takes the disk's time however many jobs it carries."""
    async with _house(server, clock) as house:
        # From here on the names are known, so that all of the others come at once.
        await house.shop.submit(fresh(house.shop.job()))
        jobs = [fresh(house.shop.job()) for _ in range(64)]

        replies = await asyncio.gather(*(house.store.submit([job]) for job in jobs))

        assert await house.look.fetchval("SELECT count(DISTINCT xmin::text) FROM live") == 1 + 2
        assert all(len(reply.woken) == 1 for reply in replies)
        states = await house.store.states([job.token for job in jobs])
        assert len(states) == 64


async def test_a_refused_call_does_not_spoil_its_company(server: PostgresServer, clock: ManualClock) -> None:
    """They only share a commit; one of them made a mistake."""
    async with _house(server, clock) as house:
        known = house.shop.job()
        await house.store.submit([known])
        wrong = structs.replace(known, payload=b'{"pizza":"another"}')
        calls = [[house.shop.job()], [house.shop.job()], [wrong], [known], [house.shop.job()]]

        replies = await asyncio.gather(*map(house.store.submit, calls), return_exceptions=True)

        assert [type(reply).__name__ for reply in replies] == [
            "Submitted", "Submitted", "TokenReusedError", "Submitted", "Submitted",
        ]  # fmt: skip
        assert isinstance(replies[2], TokenReusedError)
        assert await house.look.fetchval("SELECT count(*) FROM live") == 4


async def test_a_listener_hears_again_after_its_connection_broke(server: PostgresServer, clock: ManualClock) -> None:
    """First it is told to look everywhere, since nobody knows what it missed."""
    async with _house(server, clock) as house:
        heard: asyncio.Queue[Wake] = asyncio.Queue()
        stop = house.store.listen("worker-1", heard.put_nowait)
        async with asyncio.timeout(20):
            assert (await heard.get()).woken is None
            await house.end_backends()
            assert (await heard.get()).woken is None
            house.store.tell(Wake(woken=[Woken(1, 2, 3)], is_alone=True))
            wake = await heard.get()
        stop()

        assert wake == Wake(woken=[Woken(1, 2, 3)], cancels=[], is_alone=True)


async def test_a_place_and_a_slot_are_the_same_numbers_in_sql(server: PostgresServer, clock: ManualClock) -> None:
    """Cursors go from one to the other, and nobody finds a job in a slot that is not its own; whichever way it came in."""
    async with _house(server, clock) as house:
        shop, priorities = house.shop, [PRIORITY_MIN, -1, 0, 1, PRIORITY_MAX]
        await shop.submit(fresh(shop.job("alone", priority=7)))
        await shop.submit(*[fresh(shop.job(priority=priority)) for priority in priorities])
        await shop.submit(*[shop.job(priority=priority) for priority in priorities])
        call = await house.store.foreign_call([shop.job("once", priority=-7)], is_new=False)
        await house.look.fetchrow(call.submit.numbered, *call.submit.arguments)
        cancelled = await shop.submit_one(shop.job(priority=3))
        await house.store.cancel(cancelled)
        await house.store.reopen(cancelled)

        rows = await house.look.fetch("SELECT priority, seq, place, hash16, slot FROM live")

        assert len(rows) == 2 * len(priorities) + 3
        assert all(row["place"] == place_of(row["priority"], row["seq"]) for row in rows)
        assert all(row["slot"] == slot_of(row["hash16"]) for row in rows)


async def test_a_claim_whose_best_are_locked_says_that_there_is_more(
    server: PostgresServer, clock: ManualClock
) -> None:
    """Behind them lies what it did not look at: a worker that takes the slot for empty leaves it for a second."""
    async with _house(server, clock) as house:
        first, *_ = await house.shop.submit(*[house.shop.job(slot=3, priority=1) for _ in range(3)])
        worker = await house.shop.worker()
        async with house.look.transaction():
            await house.look.execute("SELECT FROM live WHERE token = $1 FOR UPDATE", UUID(bytes=first))

            claim = await worker.ask(2)

        assert len(claim.jobs) == 1
        assert claim.skipped == [3]
        assert (await worker.ask()).skipped == []


async def test_a_claim_is_a_hot_update(server: PostgresServer, clock: ManualClock) -> None:
    """No index is touched by a claim: that is what makes it cheap, and one more indexed column would end it."""
    async with _house(server, clock) as house:
        await house.shop.submit(*[house.shop.job() for _ in range(200)])
        worker = await house.shop.worker()
        jobs = await worker.claim()
        await house.store.close()

        hot, all_updates = await _updates(house)

        assert (len(jobs), all_updates) == (200, 200)
        assert hot > 170


async def test_a_claim_is_cut_short_before_it_fills_the_memory(server: PostgresServer, clock: ManualClock) -> None:
    """A thousand of the largest payloads would be 16 GiB. Its slots count as skipped, so that nobody takes them for empty."""
    async with _house(server, clock) as house:
        large = bytes(30 * MIB)
        jobs = [house.shop.job(slot=3, payload=large, priority=priority) for priority in (0, 0, 0, 5)]
        for job in jobs:
            await house.shop.submit(job)
        worker = await house.shop.worker()

        first = await worker.ask(1_000, slots=[3, 4])
        second = await worker.ask(1_000, slots=[3, 4])
        third = await worker.ask(1_000, slots=[3, 4])

        assert [tokens(reply.jobs) for reply in (first, second, third)] == [
            tokens([jobs[3], jobs[0]]), tokens([jobs[1], jobs[2]]), [],
        ]  # fmt: skip
        assert [list(reply.skipped) for reply in (first, second, third)] == [[3, 4], [], []]


async def test_a_payload_that_is_larger_than_that_is_claimed_alone(server: PostgresServer, clock: ManualClock) -> None:
    """There is no size at which a job would never run."""
    async with _house(server, clock) as house:
        job = house.shop.job(payload=bytes(70 * MIB))
        await house.shop.submit(job, house.shop.job())

        reply = await (await house.shop.worker()).ask(2)

        assert len(reply.jobs) == 1


async def test_a_token_twice_in_a_settle_counts_once(server: PostgresServer, clock: ManualClock) -> None:
    """The later outcome is treated as a later call would be."""
    async with _house(server, clock) as house:
        await house.shop.submit(house.shop.job())
        worker = await house.shop.worker()
        job = await worker.claim_one()

        reply = await house.store.settle(
            worker.id, [retry(job, house.shop.at(60)), succeeded(job), retry(job, house.shop.at(60))]
        )

        assert list(reply.stale) == [(job.token, job.fence)]
        assert (await house.shop.row(job.token)).attempts == 1


async def test_a_schema_is_made_once_by_many(server: PostgresServer) -> None:
    """Every process of a deploy may run it."""
    schema = server.fresh_schema()

    runs = await asyncio.gather(*(migrate(server.url, schema=schema) for _ in range(4)))

    assert sorted(chain(*runs)) == ["001_first", "functions"]
    assert await migrate(server.url, schema=schema) == []


async def test_a_missing_or_newer_schema_is_refused(server: PostgresServer, clock: ManualClock) -> None:
    """With what to do about it, before anything else fails in a way that nobody understands."""
    with pytest.raises(SchemaVersionError, match="rota migrate"):
        await PostgresStore.open(server.url, clock=clock, schema=server.fresh_schema())

    async with _house(server, clock) as house:
        await house.look.execute("INSERT INTO migrations (no, name) VALUES (999, 'from tomorrow')")
        with pytest.raises(SchemaVersionError, match="newer"):
            await PostgresStore.open(house.url, clock=clock, schema=house.schema)
        with pytest.raises(SchemaVersionError):
            await migrate(house.url, schema=house.schema)
        await house.look.execute("DELETE FROM migrations WHERE no = 999")
        await house.look.execute("UPDATE migrations SET name = 'functions of old' WHERE no = 0")
        with pytest.raises(SchemaVersionError, match="rota migrate"):
            await PostgresStore.open(house.url, clock=clock, schema=house.schema)
        assert await migrate(house.url, schema=house.schema) == ["functions"]


async def test_a_schema_may_have_any_name(server: PostgresServer, clock: ManualClock) -> None:
    """It is quoted everywhere, and is the channel of the wake-ups too."""
    async with _house(server, clock, f'Odd "name" {server.fresh_schema()}') as house:
        heard: asyncio.Queue[Wake] = asyncio.Queue()
        stop = house.store.listen("wait-1", heard.put_nowait)
        async with asyncio.timeout(20):
            await heard.get()
            token = await house.shop.submit_one(house.shop.job("mitte"))
            worker = await house.shop.worker()
            await worker.settle(*map(succeeded, await worker.claim()))
            while token not in ((await heard.get()).settled or ()):
                pass
        stop()


async def _blocked(house: House) -> None:
    """Wait until a backend of ours waits for a lock."""
    async with asyncio.timeout(20):
        while not await house.look.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1 AND wait_event_type = 'Lock'",
            f"rota {house.schema}",
        ):
            await house.look.execute("SELECT pg_stat_clear_snapshot()")
            await asyncio.sleep(0.005)


async def _until_connected(call: Callable[[], Awaitable[object]]) -> None:
    """Make a call again until its connection is a new one."""
    for _ in range(10):
        try:
            await call()
        except OutcomeUnknownError:
            continue


async def _updates(house: House) -> tuple[int, int]:
    """Return how many updates of live there were, and how many of them were HOT, once the server has counted them."""
    async with asyncio.timeout(20):
        while True:
            await house.look.execute("SELECT pg_stat_clear_snapshot()")
            row = await house.look.fetchrow(
                "SELECT n_tup_hot_upd, n_tup_upd FROM pg_stat_user_tables WHERE relid = 'live'::regclass"
            )
            if row["n_tup_upd"]:
                return row["n_tup_hot_upd"], row["n_tup_upd"]
            await asyncio.sleep(0.01)


def _database(url: str) -> str:
    return url.rpartition("/")[2].partition("?")[0]
