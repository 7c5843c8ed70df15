"""Submits through a caller's connection that cannot be: each is refused by name, writes nothing, and costs no transaction."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import psycopg
import pytest
import sqlalchemy
import sqlalchemy.ext.asyncio
import sqlalchemy.orm

from rota import Rota
from rota.errors import (
    InvalidArgumentsError,
    InvalidTokenError,
    LimitError,
    OutcomeUnknownError,
    QueueFullError,
    StoreBusyError,
    StoreReadOnlyError,
    StoreUnavailableError,
    TokenReusedError,
    UnfitConnectionError,
)
from rota.model.state import State
from rota.runtime.entropy import build_token
from rota.store.postgres.server import quoted
from tests.postgres.bakery import Bakery, Opener
from tests.postgres.callers import KINDS, Customer
from tests.postgres_server import PostgresServer

pytestmark = pytest.mark.postgres

PLAIN = [name for name in KINDS if name in ("psycopg", "sqlalchemy", "sqlalchemy session")]
AWAITED = [name for name in KINDS if name not in PLAIN]
ONE_OF_EACH = ["asyncpg", "psycopg", "psycopg async", "sqlalchemy session", "sqlalchemy async"]


@asynccontextmanager
async def arrived(here: Bakery, name: str, url: str = "") -> AsyncIterator[Customer]:
    """A customer with a connection of this kind, who leaves in the end, in whatever state the connection is."""
    customer = await KINDS[name].arrives(url or here.url)
    try:
        yield customer
    finally:
        with contextlib.suppress(Exception):
            await customer.leaves()


async def each(here: Bakery, names: Iterable[str]) -> AsyncIterator[Customer]:
    """A customer of each of these kinds, one after the other."""
    for name in names:
        async with arrived(here, name) as customer:
            yield customer


async def refused(here: Bakery, customer: Customer, **options: Any) -> str:
    """Submit what must be refused, and return what was said; nothing may have been written."""
    before = await here.count("live")
    with pytest.raises(UnfitConnectionError) as caught:
        await customer.submits(here.bake, "a", "mitte", **options)
    assert await here.count("live") == before
    assert "Nothing was written" in str(caught.value)
    return str(caught.value)


# ── of the wrong kind ────────────────────────────────────────────────────────────────────────────────────────────────


async def test_what_is_no_connection_is_named(bakery: Opener) -> None:
    """With the kinds that are accepted, and with what to give instead if it is close to one."""
    async with bakery() as here:
        url = here.url.replace("postgresql://", "postgresql+psycopg://", 1)
        engine = sqlalchemy.create_engine(url)
        pool = asyncpg.create_pool(here.url, min_size=0)
        psycopg_connection = psycopg.connect(here.url)
        memory = sqlite3.connect(":memory:")
        for wrong, says in (
            ("postgresql://…", r"str, "),
            (object(), r"object, "),
            (memory, r"sqlite3 Connection, "),
            (pool, r"asyncpg Pool, .*pool\.acquire\(\)"),
            (engine, r"sqlalchemy Engine, .*engine\.begin\(\)"),
            (sqlalchemy.ext.asyncio.create_async_engine(url), r"sqlalchemy AsyncEngine, .*engine\.begin\(\)"),
            (sqlalchemy.orm.sessionmaker(engine), r"sqlalchemy sessionmaker, .*makes sessions"),
            (psycopg_connection.cursor(), r"psycopg Cursor, .*\.connection"),
            (raw := engine.raw_connection(), r"sqlalchemy _ConnectionFairy, .*raw connection: .*\.driver_connection"),
        ):
            with pytest.raises(
                UnfitConnectionError, match=rf"connection= is of type {says}.*Accepted are an asyncpg"
            ) as caught:
                here.bake.options(connection=wrong)  # type: ignore[arg-type]
            assert caught.value.code == "ROTA-109"
        here.bake.options(connection=raw.driver_connection).submit("a")
        raw.rollback()
        assert await here.count("live") == 0
        here.bake.options(connection=raw.driver_connection).submit("a")
        raw.commit()
        assert await here.count("live") == 1
        raw.close()
        engine.dispose()
        psycopg_connection.close()
        memory.close()


async def test_a_connection_that_must_be_awaited_is_not_for_submit(bakery: Opener) -> None:
    """It would return a coroutine that nobody awaits, and no job."""
    async with bakery() as here:
        async for customer in each(here, AWAITED):
            placed = here.bake.options(connection=customer.given)
            says = r"must be awaited.*await …submit_async"
            with pytest.raises(UnfitConnectionError, match=says):
                placed.submit("a")
            with pytest.raises(UnfitConnectionError, match=says):
                placed.submit_many([here.bake.call("a")])
            assert await here.count("live") == 0


async def test_a_plain_connection_is_not_for_submit_async(bakery: Opener) -> None:
    """It would stop the event loop at each round trip."""
    async with bakery() as here:
        async for customer in each(here, PLAIN):
            placed = here.bake.options(connection=customer.given)
            for submitting in (placed.submit_async("a"), placed.submit_many_async([here.bake.call("a")])):
                with pytest.raises(UnfitConnectionError, match=r"stop the event loop.*Call submit\(…\) in plain code"):
                    await submitting
            assert await here.count("live") == 0


async def test_a_sqlite_store_says_why_not(tmp_path: Path, server: PostgresServer) -> None:
    """A file with one writer; and no transaction spans two databases."""
    app = Rota(tmp_path / "shop.db")
    task = app.task(_bake)
    with (
        psycopg.connect(server.url) as connection,
        pytest.raises(UnfitConnectionError, match=r"no transaction spans two"),
    ):
        task.options(connection=connection)


async def test_a_driver_below_sqlalchemy_that_is_not_known_is_named(bakery: Opener) -> None:
    """A session does not say what is below it before it is used."""
    async with bakery() as here:
        engine = sqlalchemy.create_engine("sqlite://")
        with sqlalchemy.orm.Session(engine) as session, pytest.raises(UnfitConnectionError, match=r"sqlite\+pysqlite"):
            here.bake.options(connection=session).submit("a")
        engine.dispose()


# ── connected to something else, or as somebody else ─────────────────────────────────────────────────────────────────


async def test_another_database_is_found_out(bakery: Opener, server: PostgresServer) -> None:
    """One without a store, and one with a store of the same name: jobs written there would never be known here."""
    async with bakery() as here:
        other = f"elsewhere_{here.schema}"
        await here.look.execute(f"CREATE DATABASE {other}")
        url = server.url.rpartition("/")[0] + f"/{other}"
        try:
            for name in ("asyncpg", "psycopg"):
                async with arrived(here, name, url) as customer:
                    says = f"database '{other}', which has no schema '{here.schema}' of rota"
                    assert says in await refused(here, customer)
                    await customer.does("SELECT 1")  # the transaction has not suffered
            async with arrived(here, "asyncpg", url) as customer:
                await customer.given.execute(
                    f"CREATE SCHEMA {here.schema}; CREATE FUNCTION {here.schema}.submit_foreign() RETURNS text "
                    "LANGUAGE sql AS $$ SELECT 'done' $$"
                )
                assert f"database '{other}' of another store" in await refused(here, customer)
        finally:
            await here.look.execute(f"DROP DATABASE {other} (FORCE)")


async def test_a_role_that_may_not_submit_is_told_what_it_lacks(bakery: Opener) -> None:
    """And what the owner of the schema should say; the transaction has not suffered."""
    async with bakery() as here, arrived(here, "psycopg") as customer:
        role = quoted(f"guest of {here.schema}")
        await here.look.execute(
            f"CREATE ROLE {role}; GRANT USAGE ON SCHEMA {quoted(here.schema)} TO {role}; "
            f"GRANT SELECT ON ALL TABLES IN SCHEMA {quoted(here.schema)} TO {role}"
        )
        try:
            await customer.does(f"SET ROLE {role}")
            says = await refused(here, customer)
            assert "lacks DELETE on live; INSERT on live; INSERT on turns" in says
            await here.look.execute(says.rpartition("say `")[2].rstrip("`"))
            await customer.does("SELECT 1")
            token = await customer.submits(here.bake, "a", "mitte")
            await customer.commits()
            assert await here.serves() == [str(token)]
        finally:
            await customer.rolls_back()
            await customer.does("RESET ROLE")
            await customer.commits()
            await here.look.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")


# ── in no state to be used ───────────────────────────────────────────────────────────────────────────────────────────


async def test_a_failed_transaction_says_so(bakery: Opener) -> None:
    """Nothing can be done in it any more but to roll it back; after that the connection is as good as new."""
    async with bakery() as here:
        async for customer in each(here, ONE_OF_EACH):
            await customer.begins()
            with pytest.raises(Exception, match="zero"):
                await customer.does("SELECT 1/0")
            assert "has failed before" in await refused(here, customer)
            await customer.rolls_back()

            await customer.begins()
            token = await customer.submits(here.bake, "a", "mitte")
            await customer.commits()
            assert await here.serves() == [str(token)]


async def test_a_connection_that_is_closed_says_so(bakery: Opener) -> None:
    """Or given back to its pool, which is the same for whoever still holds it. (SQLAlchemy's sessions begin anew after it.)"""
    async with bakery() as here:
        async for customer in each(here, [name for name in KINDS if not name.endswith("session")]):
            await customer.does("SELECT 1")
            await customer.leaves()
            with pytest.raises((UnfitConnectionError, StoreUnavailableError), match=r"closed|released") as caught:
                await customer.submits(here.bake, "a")
            assert "Nothing was written" in str(caught.value)


async def test_a_connection_that_is_in_use_says_so(bakery: Opener) -> None:
    """Two at once through one connection: the driver lets one through, here one that waits for a lock."""
    async with bakery() as here, arrived(here, "asyncpg") as customer:
        await here.bake.submit_async("warm up")
        pid = await customer.pid()
        await here.look.execute("SELECT pg_advisory_lock(1)")
        waiting = asyncio.create_task(customer.does("SELECT pg_advisory_lock(1)"))
        await here.blocked(pid)

        with pytest.raises(UnfitConnectionError, match="another operation is in progress"):
            await customer.submits(here.bake, "a")

        await here.look.execute("SELECT pg_advisory_unlock(1)")
        await waiting


async def test_prepared_statements_behind_a_pooler_are_the_callers_to_switch_off(bakery: Opener) -> None:
    """The pooler gives the next transaction to another session, which has not prepared what this one did."""
    async with bakery() as here, arrived(here, "asyncpg") as customer:
        await customer.begins()
        await customer.submits(here.bake, "a")
        await customer.commits()
        await customer.does("DEALLOCATE ALL")
        await customer.begins()

        with pytest.raises(
            UnfitConnectionError, match=r"statement_cache_size=0 .*Nothing was written\. Your transaction"
        ):
            await customer.submits(here.bake, "b")
        await customer.rolls_back()

        assert await here.count("live") == 1


async def test_a_transaction_that_may_only_read_says_so(bakery: Opener) -> None:
    """Often a connection to a standby, or a session set up for reports."""
    async with bakery() as here:
        async for customer in each(here, ONE_OF_EACH):
            await customer.begins()
            await customer.does("SET TRANSACTION READ ONLY")
            with pytest.raises(StoreReadOnlyError, match=r"may only read.*Your transaction has failed with this"):
                await customer.submits(here.bake, "a")


BREAKING = ["asyncpg", "psycopg async", "sqlalchemy async"]


@pytest.mark.parametrize("name", BREAKING)
async def test_a_connection_that_breaks_in_a_transaction_has_written_nothing(name: str, bakery: Opener) -> None:
    """Whether the driver has noticed it before, or does so now."""
    async with bakery() as here, arrived(here, name) as customer:
        await customer.begins()
        await customer.submits(here.bake, "a")
        await here.ends(await customer.pid())

        with pytest.raises(
            StoreUnavailableError, match=r"was lost .* nothing of it was written|closed. Nothing was written"
        ):
            await customer.submits(here.bake, "b")
        assert await here.count("live") == 0


@pytest.mark.parametrize("name", BREAKING)
async def test_a_connection_that_breaks_outside_of_one_says_that_nobody_knows(name: str, bakery: Opener) -> None:
    """The commit was part of the statement whose reply was lost."""
    async with bakery() as here, arrived(here, name) as customer:
        if name.startswith("psycopg"):
            await customer.given.set_autocommit(True)
        elif name.startswith("sqlalchemy"):
            customer.given = await customer.given.execution_options(isolation_level="AUTOCOMMIT")
        await customer.submits(here.bake, "a")
        pid = await customer.pid()
        await here.look.execute("BEGIN; LOCK TABLE live IN SHARE ROW EXCLUSIVE MODE")
        submitting = asyncio.create_task(customer.submits(here.bake, "b"))
        await here.blocked(pid)
        await here.ends(pid)

        with pytest.raises(OutcomeUnknownError, match=r"was lost .* may or may not have been done") as caught:
            await submitting
        await here.look.execute("ROLLBACK")
        assert len(caught.value.facts["tokens"]) == 1


async def test_a_lock_that_the_caller_does_not_wait_for_ends_its_transaction(bakery: Opener) -> None:
    """What breaks in the server is the end of any transaction; the error says so, and that it can be tried again."""
    async with bakery() as here, arrived(here, "psycopg") as customer:
        await customer.does("SET LOCAL lock_timeout = '20ms'")
        await here.look.execute("BEGIN; LOCK TABLE live IN SHARE ROW EXCLUSIVE MODE")
        with pytest.raises(StoreBusyError, match=r"Asking again is safe.*Your transaction has failed with this"):
            await customer.submits(here.bake, "a")
        await here.look.execute("ROLLBACK")


# ── jobs that cannot be ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ONE_OF_EACH)
async def test_a_refusal_leaves_the_transaction_as_it_was(name: str, bakery: Opener) -> None:
    """What else the caller has written in it is there with its commit."""
    async with bakery(waiting_max=3) as here, arrived(here, name) as customer:
        await here.look.execute("CREATE TABLE IF NOT EXISTS notes (name text); DELETE FROM notes")
        given = build_token(0, 1)
        fresh = here.app._entropy.token()
        other = here.app.token(UUID(bytes=fresh))
        await here.bake.options(token=other).submit_async("a")
        await customer.begins()
        await customer.does(f"INSERT INTO {quoted(here.schema)}.notes VALUES ('mine')")

        with pytest.raises(TokenReusedError, match=f"{other} has another task, payload or key. Nothing was written"):
            await customer.submits(here.bake, "b", token=other)
        with pytest.raises(InvalidTokenError, match="off by more than a day"):
            await customer.submits(here.bake, "b", token=UUID(bytes=given))
        with pytest.raises(InvalidArgumentsError, match="Nothing was written"):
            await customer.submits(here.bake, 7)
        with pytest.raises(LimitError, match="Nothing was written"):
            await customer.submits(here.bake, "a" * 300_000)
        with pytest.raises(QueueFullError, match="nothing was written"):
            await customer.submits_many(here.bake, [here.bake.call(pizza) for pizza in "abc"])
        again = await customer.submits(here.bake, "a", token=other)
        more = await customer.submits_many(here.bake, [here.bake.call(pizza, "mitte") for pizza in "ab"])
        await customer.commits()

        assert await here.look.fetchval("SELECT string_agg(name, ',') FROM notes") == "mine"
        assert await here.states([again, *more]) == [State.WAITING] * 3
        assert await here.count("live") == 3


@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
async def test_a_token_of_ones_own_needs_a_fresh_look(level: str, bakery: Opener) -> None:
    """In an old snapshot a job that was finished meanwhile cannot be seen: it would run twice."""
    async with bakery() as here, arrived(here, "psycopg") as customer:
        await customer.does(f"SET TRANSACTION ISOLATION LEVEL {level}")
        token = here.app.token(UUID(bytes=here.app._entropy.token()))
        await here.bake.options(token=token).submit_async("a")
        await here.serves()

        assert "or use READ COMMITTED" in await refused(here, customer, token=token)
        await customer.commits()


def _bake(pizza: str) -> None: ...
