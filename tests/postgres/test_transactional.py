"""Submits within a caller's own transaction: there with its commit, and never without."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import asyncpg
import psycopg
import pytest
import sqlalchemy

from rota import Rota
from rota.model.state import State
from rota.store.postgres.server import quoted
from tests.contract.shop import OVENS
from tests.postgres.bakery import Bakery, Opener, open_bakery, slot_of_key
from tests.postgres.callers import KINDS, Customer
from tests.postgres_server import PostgresServer

pytestmark = pytest.mark.postgres


@asynccontextmanager
async def arrived(bakery: Bakery, kind: type[Customer]) -> AsyncIterator[Customer]:
    """A customer with a connection of this kind, who leaves in the end, in whatever state the connection is."""
    customer = await kind.arrives(bakery.url)
    try:
        yield customer
    finally:
        with contextlib.suppress(Exception):
            await customer.leaves()


kinds = pytest.mark.parametrize("kind", KINDS.values(), ids=list(KINDS))


@kinds
async def test_a_job_is_there_from_the_commit_on(kind: type[Customer], bakery: Opener) -> None:
    """Not a moment before; and workers hear of it with the commit, so that nothing waits for somebody to look."""
    async with bakery() as here, arrived(here, kind) as customer:
        await here.listens()
        await customer.begins()
        tokens = [await customer.submits(here.bake, "funghi", "mitte")]
        tokens += await customer.submits_many(here.bake, [here.bake.call(name, "mitte") for name in ("a", "b")])

        assert (await here.told(), await here.states(tokens), await here.serves()) == ([], [None] * 3, [])

        await customer.commits()
        await here.hears(slot_of_key("mitte"))
        assert await here.states(tokens) == [State.WAITING] * 3
        assert await here.serves() == [str(token) for token in tokens]


@kinds
async def test_a_job_of_a_transaction_that_is_rolled_back_was_never_there(kind: type[Customer], bakery: Opener) -> None:
    """Neither the job, nor its key's turn, nor a wake-up; and the next transaction of the same connection is another one."""
    async with bakery() as here, arrived(here, kind) as customer:
        await here.listens()
        await customer.begins()
        lost = [await customer.submits(here.bake, "funghi", "mitte"), await customer.submits(here.bake, "funghi")]
        await customer.rolls_back()

        assert (await here.told(), await here.states(lost)) == ([], [None, None])
        assert (await here.count("live"), await here.count("turns")) == (0, 0)

        await customer.begins()
        kept = await customer.submits(here.bake, "funghi", "mitte")
        await customer.commits()
        assert await here.serves() == [str(kept)]


@kinds
async def test_a_job_whose_submitter_dies_before_the_commit_was_never_there(
    kind: type[Customer], bakery: Opener
) -> None:
    """The order was not placed, so nobody bakes; and the key goes on for others."""
    async with bakery() as here, arrived(here, kind) as customer:
        await customer.begins()
        lost = await customer.submits(here.bake, "funghi", "mitte")
        await here.ends(await customer.pid())

        with contextlib.suppress(Exception):  # whether a driver finds it out now is its affair
            await customer.commits()
        kept = await here.bake.submit_async("margherita", "mitte")
        assert await here.states([lost]) == [None]
        assert await here.serves() == [str(kept)]


async def test_what_else_was_written_is_there_with_the_job(bakery: Opener) -> None:
    """This is what it is for: an order and the job that bakes it, both or none."""
    async with bakery() as here, arrived(here, KINDS["asyncpg"]) as customer:
        await here.look.execute("CREATE TABLE orders (pizza text)")
        for pizza, ends in (("a", customer.rolls_back), ("b", customer.commits)):
            await customer.begins()
            await customer.does(f"INSERT INTO {quoted(here.schema)}.orders VALUES ('{pizza}')")
            await customer.submits(here.bake, pizza)
            await ends()

        assert [row["pizza"] for row in await here.look.fetch("SELECT pizza FROM orders")] == ["b"]
        assert await here.look.fetchval("SELECT convert_from(payload, 'UTF8') FROM live") == '{"pizza":"b"}'


async def test_jobs_of_a_transaction_keep_their_order_among_those_of_others(bakery: Opener) -> None:
    """Somebody else's job of the same key, accepted meanwhile, may come before or after or between; theirs stay in order."""
    async with bakery() as here, arrived(here, KINDS["psycopg"]) as customer:
        own = [await customer.submits(here.bake, "a", "mitte")]
        others = [await here.bake.submit_async("x", "mitte")]
        own += await customer.submits_many(here.bake, [here.bake.call("b", "mitte"), here.bake.call("c", "mitte")])
        others += [await here.bake.submit_async("y", "mitte")]
        assert await here.serves() == [str(token) for token in others]
        others += [await here.bake.submit_async("z", "mitte")]
        own += [await customer.submits(here.bake, "d", "mitte")]
        await customer.commits()

        started = await here.serves()

        assert [token for token in started if token in map(str, own)] == [str(token) for token in own]
        assert sorted(started) == sorted(map(str, [*own, others[-1]]))


async def test_a_new_name_in_an_open_transaction_holds_up_nobody(bakery: Opener) -> None:
    """Others who use it first would wait for the row that gives it its number."""
    async with bakery() as here, arrived(here, KINDS["psycopg"]) as customer:
        await customer.submits(here.bake, "a", queue="never seen before")
        token = await here.bake.options(queue="never seen before").submit_async("b")

        assert await here.states([token]) == [State.WAITING]
        await customer.rolls_back()


async def test_options_hold_within_a_transaction_too(bakery: Opener) -> None:
    """A connection is one option among the others."""
    async with bakery() as here, arrived(here, KINDS["asyncpg"]) as customer:
        await customer.begins()
        later = await customer.submits(here.bake, "a", delay=3_600, priority=5, key="c", timeout=7, expires=7_200)
        given = here.app.token(UUID(bytes=here.app._entropy.token()))
        again = here.bake.options(connection=customer.given).options(token=given)
        tokens = [await again.submit_async("b"), await again.submit_async("b")]
        await customer.commits()

        row = await here.store.find(bytes(later))
        assert row is not None
        assert row.state is State.SCHEDULED
        assert (row.priority, row.key, row.meta) == (5, "c", b'{"timeout_ms":7000}')
        assert row.due_at is not None
        assert row.expires_at is not None
        assert 3_599_000_000 < row.expires_at - row.due_at <= 3_600_000_000
        assert await here.count("live") == 2
        assert list(map(str, tokens)) == [str(given)] * 2


@pytest.mark.parametrize("name", ["asyncpg", "psycopg", "psycopg async", "sqlalchemy", "sqlalchemy async"])
async def test_without_a_transaction_it_is_committed_at_once(name: str, bakery: Opener) -> None:
    """A connection in autocommit is no mistake: it only promises less."""
    async with bakery() as here, arrived(here, KINDS[name]) as customer:
        if name.startswith("psycopg"):
            setting = customer.given.set_autocommit(True)
            await setting if setting is not None else None
        elif name.startswith("sqlalchemy"):
            setting = customer.given.execution_options(isolation_level="AUTOCOMMIT")
            customer.given = await setting if name.endswith("async") else setting

        token = await customer.submits(here.bake, "a", "mitte")

        assert await here.serves() == [str(token)]


async def test_a_job_from_an_old_snapshot_runs(bakery: Opener) -> None:
    """REPEATABLE READ, and a queue that was given its number after the snapshot was taken."""
    async with bakery() as here, arrived(here, KINDS["psycopg"]) as customer:
        customer.given.isolation_level = psycopg.IsolationLevel.SERIALIZABLE
        await customer.does("SELECT 1")
        token = await customer.submits(here.bake, "a", "mitte", queue="made after that")
        await customer.commits()

        worker = await here.shop.worker(queues=["made after that"])
        assert await worker.work(queue="made after that") == [bytes(token)]


async def test_plain_code_without_a_loop_submits_too(bakery: Opener) -> None:
    """A web framework's thread: no event loop in sight, but for the app's own."""
    async with bakery() as here:

        def request() -> tuple[str, str]:
            with psycopg.connect(here.url) as connection:
                placed = here.bake.options(connection=connection)
                return str(placed.submit("a", "mitte")), str(placed.submit("b", "mitte"))

        tokens = await asyncio.to_thread(request)

        assert await here.serves() == list(tokens)


async def test_in_a_pipeline_of_psycopg_it_is_one_statement_among_the_others(bakery: Opener) -> None:
    """What was sent before it has not been answered yet."""
    async with bakery() as here, arrived(here, KINDS["psycopg"]) as customer:
        with customer.given.pipeline():
            customer.given.execute("SELECT 1")
            token = await customer.submits(here.bake, "a", "mitte")
            customer.given.execute("SELECT 2")
        await customer.commits()

        assert await here.serves() == [str(token)]


async def test_a_caller_may_have_types_of_its_own(bakery: Opener) -> None:
    """Our statement must not depend on what the application makes of UUIDs and JSON."""
    async with bakery() as here, arrived(here, KINDS["asyncpg"]) as customer:
        for name in ("uuid", "json", "jsonb"):
            await customer.given.set_type_codec(name, schema="pg_catalog", encoder=repr, decoder=repr)

        token = await customer.submits(here.bake, "a", "mitte")

        assert await here.serves() == [str(token)]


async def test_a_connection_is_looked_at_once(bakery: Opener) -> None:
    """To ask whose database it is costs a round trip: by the connection, not by the submit, whatever wraps it."""
    async with bakery() as here, arrived(here, KINDS["sqlalchemy"]) as customer:
        said: list[str] = []
        sqlalchemy.event.listen(customer.given, "before_cursor_execute", lambda *told: said.append(told[2]))
        for pizza in "abc":
            await customer.submits(here.bake, pizza)

        assert ["submit_foreign(" in query for query in said] == [False, True, True, True]


async def test_behind_a_pooler_nothing_is_different(server: PostgresServer, bakery_schema: str) -> None:
    """A transaction is what a pooler keeps together."""
    from tests.pgbouncer import pgbouncer_before, pgbouncer_or_skip

    pgbouncer_or_skip()
    with pgbouncer_before(server.url) as pooled:
        app = Rota(pooled, schema=bakery_schema)
        task = app.task(queue=OVENS, name="bake")(_bake)
        async with open_bakery(server, bakery_schema) as here:
            connection = await asyncpg.connect(pooled, statement_cache_size=0)
            async with connection.transaction():
                token = await task.options(connection=connection).submit_async("a")
                assert await here.states([token]) == [None]
            await connection.close()
            await app.close_async()

            assert await here.serves() == [str(token)]


def _bake(pizza: str) -> None: ...
