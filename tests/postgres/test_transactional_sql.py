"""The public SQL function: what a trigger, or a program in another language, submits is what the app would have submitted."""

from __future__ import annotations

import asyncio
from random import Random
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from msgspec import structs

from rota import Retry
from rota.model.slot import hash16
from rota.model.state import State
from rota.model.token import is_token, token_ms
from rota.store.postgres.server import quoted
from tests.contract.shop import OVENS
from tests.postgres.bakery import PATIENCE_S, Bakery, Opener, slot_of_key
from tests.unit.worker.kitchen import Kitchen

pytestmark = pytest.mark.postgres

GOLDEN = {
    b"": 45566,
    b"a": 7707,
    b"mitte": 7294,
    "zürich".encode(): 61184,
    bytes(128): 1720,
    b"x" * 129: 33623,
    b"k" * 512: 46078,
}
"""Worked out by Python's own BLAKE2b: a slot that moved would separate a key's jobs from each other."""


async def submit(
    here: Bakery, arguments: str = "task => 'bake', arguments => '{\"pizza\":\"a\"}'", **more: str
) -> UUID:
    """Call the function, with further arguments as they are written."""
    named = "".join(f", {name} => {value}" for name, value in ({"queue": f"'{OVENS}'"} | more).items())
    token: UUID = await here.look.fetchval(f"SELECT submit({arguments}{named})")
    return token


async def test_a_hash_is_the_one_that_the_app_computes(bakery: Opener) -> None:
    """Of every length there is: shorter than a block, as long, and longer."""
    random = Random(7)
    data = [*GOLDEN, *(random.randbytes(size) for size in (1, 2, 8, 16, 127, 255, 256, 257, 383, 511))]
    async with bakery() as here:
        rows = await here.look.fetch(
            "SELECT hash16(u.d) AS bits FROM unnest($1::bytea[]) WITH ORDINALITY u(d, o) ORDER BY o", data
        )

    assert [row["bits"] for row in rows] == [_hash(each) for each in data]
    assert {each: _hash(each) for each in GOLDEN} == GOLDEN


async def test_a_key_has_one_slot_whichever_way_its_jobs_come(bakery: Opener) -> None:
    """The same worker, and one at a time and in order, also between the app's jobs and a trigger's."""
    async with bakery() as here:
        await here.listens()
        own = [str(await here.bake.submit_async("a", "zürich"))]
        own += [str(await submit(here, key="'zürich'"))]
        own += [str(await here.bake.submit_async("b", "zürich"))]

        assert await here.told() == [slot_of_key("zürich")] * 3
        assert {row["slot"] for row in await here.look.fetch("SELECT slot FROM live")} == {slot_of_key("zürich")}
        assert await here.serves() == own


async def test_a_job_from_sql_is_the_job_that_the_app_would_have_made(bakery: Opener) -> None:
    """Column by column, but for the numbers that differ from job to job."""
    async with bakery() as here:
        for more, options in (
            ({}, {}),
            ({"key": "'mitte'", "priority": "7"}, {"key": "mitte", "priority": 7}),
            ({"delay": "'1 hour'", "expires": "now() + interval '2 hours'"}, {"delay": 3600, "expires": 7200}),
        ):
            theirs = await here.store.find((await submit(here, **more)).bytes)
            ours = await here.store.find(bytes(await here.bake.options(**options).submit_async("a")))

            assert theirs is not None
            assert ours is not None
            assert theirs.payload == b'{"pizza": "a"}'
            for name in ("due_at", "expires_at"):
                at, expected = getattr(theirs, name), getattr(ours, name)
                assert at == expected is None or abs(at - expected) < PATIENCE_S * 1_000_000
            alike = {"token": b"", "seq": 0, "slot": 0, "payload": b"", "due_at": 0, "expires_at": 0}
            assert structs.replace(theirs, **alike) == structs.replace(ours, **alike)


async def test_tokens_made_in_sql_are_uuids_of_version_7_and_rise(bakery: Opener) -> None:
    """A token begins with its time: finished jobs lie in partitions by it."""
    async with bakery() as here:
        query = f"SELECT submit('bake', '{{}}', queue => '{OVENS}') AS t, clock_timestamp() AS at FROM generate_series(1, 20)"
        rows = await here.look.fetch(query)
        stored = [row["hash16"] for row in await here.look.fetch("SELECT hash16 FROM live ORDER BY token")]

    tokens = [row["t"].bytes for row in rows]
    assert all(map(is_token, tokens))
    assert tokens == sorted(set(tokens))
    assert all(abs(token_ms(row["t"].bytes) - row["at"].timestamp() * 1_000) < PATIENCE_S * 1_000 for row in rows)
    assert stored == [hash16(None, token) for token in tokens]


async def test_a_trigger_submits(bakery: Opener) -> None:
    """An order gets its job in the transaction that inserts it, whoever does; workers hear of it with the commit."""
    async with bakery() as here:
        await here.look.execute(
            f"""
            CREATE TABLE orders (id integer, pizza text, store text);
            CREATE FUNCTION bake_it() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                PERFORM {quoted(here.schema)}.submit('bake', jsonb_build_object('pizza', NEW.pizza, 'store', NEW.store),
                                                     key => NEW.store, queue => '{OVENS}');
                RETURN NEW;
            END $$;
            CREATE TRIGGER bake_it AFTER INSERT ON orders FOR EACH ROW EXECUTE FUNCTION bake_it();
            """
        )
        await here.listens()
        clerk = await asyncpg.connect(here.url)
        async with clerk.transaction():
            await clerk.execute(f"INSERT INTO {quoted(here.schema)}.orders VALUES (1, 'a', 'mitte'), (2, 'b', 'mitte')")
            assert (await here.told(), await here.serves()) == ([], [])
        await clerk.close()
        await here.hears(slot_of_key("mitte"))

        kitchen = Kitchen.of(here.bake.spec, store=here.store)
        tokens = [row["token"].bytes for row in await here.look.fetch("SELECT token FROM live ORDER BY seq")]
        await kitchen.work_until_settled(tokens, await kitchen.worker())
        rows = [await here.store.find(token) for token in tokens]
        assert [row.result for row in rows if row] == [b'"a for mitte"', b'"b for mitte"']


async def test_arguments_that_do_not_fit_are_a_failed_job_that_says_so(bakery: Opener) -> None:
    """SQL knows nothing of the task's annotations; the worker does. It tries as often as the task's policy says, since a worker
    with newer code may know better."""
    async with bakery() as here:
        strict = here.app.task(name="strict", queue=OVENS, retry=Retry(attempts=1))(_strict)
        await here.store.intern([OVENS], ["strict"])
        wrong = [await submit(here, f"'strict', '{text}'") for text in ('{"pizza": 7}', '{"pasta": "b"}', "{}")]

        kitchen = Kitchen.of(strict.spec, store=here.store)
        async with asyncio.timeout(PATIENCE_S):
            await kitchen.work_until_settled([token.bytes for token in wrong], await kitchen.worker())

        for token, says in zip(wrong, ("Expected `str`, got `int`", "pasta", "pizza"), strict=True):
            row = await here.store.find(token.bytes)
            assert row is not None
            assert row.state is State.FAILED
            assert row.attempts == 1
            assert row.failure is not None
            assert row.failure.type == "InvalidArgumentsError"
            assert says.replace("`", "") in row.failure.message
            assert "The job has not been run" in row.failure.message


REFUSED = (
    ("'bakee', '{}'", "RO102", "task 'bakee' is not known"),
    ("'bake', '{}', queue => 'never'", "RO102", "queue 'never' is not known"),
    ("NULL, '{}'", "RO102", "NULL is not known"),
    ("'bake', '[1]'", "RO103", "are a JSON array"),
    ("'bake', NULL", "RO103", "are null"),
    ("'bake', key => ''", "RO103", "the key is empty"),
    ("'bake', key => repeat('ü', 257)", "RO104", "514 bytes, more than 512"),
    ("'bake', jsonb_build_object('a', repeat('x', 262144))", "RO104", "more than 262144"),
    ("'bake', priority => 101", "RO104", "priority 101"),
    ("'bake', delay => '-1 second'", "RO104", "between now"),
    ("'bake', at => 'infinity'", "RO104", "3660 days"),
    ("'bake', expires => 'infinity'", "RO104", "3660 days"),
    ("'bake', delay => '1 second', at => now()", "RO100", "both say when"),
    ("'bake', token => gen_random_uuid()", "RO105", "no UUID of version 7"),
    ("'bake', token => '01000000-0000-7000-8000-000000000000'", "RO105", "off by more than a day"),
)


async def test_what_cannot_be_a_job_is_refused_by_name(bakery: Opener) -> None:
    """The same limits as everywhere; what is refused is named, with a code that a program can look at."""
    async with bakery() as here:
        for wrong, code, says in REFUSED:
            more = "" if "queue =>" in wrong else f", queue => '{OVENS}'"
            with pytest.raises(asyncpg.PostgresError, match=says) as caught:
                await here.look.fetchval(f"SELECT submit({wrong}{more})")
            assert caught.value.sqlstate == code
        assert await here.count("live") == 0


async def test_a_name_can_be_made_known_beforehand(bakery: Opener) -> None:
    """By what the hint says: in the migration that makes the trigger, say, before any worker was started."""
    async with bakery() as here:
        with pytest.raises(asyncpg.PostgresError, match="is not known") as caught:
            await submit(here, "'new', '{}'")
        await here.look.execute(str(caught.value.hint).rpartition(": ")[2].rstrip("."))

        assert await submit(here, "'new', '{}'")


async def test_a_token_of_ones_own_is_a_job_once(bakery: Opener) -> None:
    """Also after it was done; and another job under it is refused."""
    async with bakery() as here:
        token = here.app._entropy.token()
        own = f"'{UUID(bytes=token)}'"
        assert {await submit(here, token=own) for _ in range(2)} == {UUID(bytes=token)}
        assert await here.serves() == [str(UUID(bytes=token))]
        await submit(here, token=own)

        assert await here.states([here.app.token(UUID(bytes=token))]) == [State.SUCCEEDED]
        with pytest.raises(asyncpg.PostgresError, match="another task, payload or key"):
            await submit(here, "'bake', '{\"pizza\":\"b\"}'", token=own)
        with pytest.raises(asyncpg.PostgresError, match="repeatable read"):
            await here.look.execute(
                f"BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT submit('bake', queue => '{OVENS}', token => {own})"
            )
        await here.look.execute("ROLLBACK")


async def test_a_full_queue_refuses(bakery: Opener) -> None:
    """The limit is the house's own, since no program is there to bring one; it is counted again when an eighth is used."""
    async with bakery() as here:
        await here.look.execute("UPDATE house SET waiting_max = 20")
        try:
            for _ in range(20):
                await submit(here)
            with pytest.raises(asyncpg.PostgresError, match="holds 20 waiting jobs of at most 20") as caught:
                await submit(here)
            assert caught.value.sqlstate == "RO306"
        finally:
            await here.look.execute("UPDATE house SET waiting_max = DEFAULT, payload_bytes_max = DEFAULT")


async def test_a_role_that_may_only_submit(bakery: Opener) -> None:
    """It needs no right on our tables; and a right on the schema alone lets nobody submit."""
    async with bakery() as here:
        role = quoted(f"clerk of {here.schema}")
        await here.look.execute(f"CREATE ROLE {role}; GRANT USAGE ON SCHEMA {quoted(here.schema)} TO {role}")
        try:
            await here.look.execute(f"SET ROLE {role}")
            with pytest.raises(asyncpg.InsufficientPrivilegeError, match="function submit"):
                await submit(here)
            await here.look.execute(f"RESET ROLE; GRANT EXECUTE ON FUNCTION submit TO {role}; SET ROLE {role}")
            token = await submit(here, key="'mitte'")
            for what in (
                "SELECT * FROM live",
                f"SELECT submit_from_sql(NULL, 'bake', '{{}}', NULL, '{OVENS}', NULL, NULL, 0, NULL, NULL)",
            ):
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await here.look.execute(what)
            await here.look.execute("RESET ROLE")

            assert await here.serves() == [str(token)]
        finally:
            await here.look.execute(f"RESET ROLE; DROP OWNED BY {role}; DROP ROLE {role}")


async def test_the_public_function_outlives_its_implementation(bakery: Opener) -> None:
    """Views, defaults and grants depend on it: an upgrade makes all other functions anew, and not this one."""
    async with bakery() as here:
        await here.look.execute(
            f"CREATE TABLE asked (token uuid DEFAULT submit('bake', queue => '{OVENS}'), no integer)"
        )
        before = await here.look.fetchval("SELECT 'submit'::regproc::oid")
        await here.look.execute("UPDATE migrations SET name = 'functions of another time' WHERE no = 0")
        await _migrated(here)

        assert await here.look.fetchval("SELECT 'submit'::regproc::oid") == before
        token = await here.look.fetchval("INSERT INTO asked (no) VALUES (1) RETURNING token")
        assert await here.serves() == [str(token)]
        await here.look.execute("DROP TABLE asked")


async def _migrated(here: Bakery) -> None:
    from rota.store.postgres.migrate import migrate

    assert await migrate(here.url, schema=here.schema) == ["functions"]


def _hash(data: Any) -> int:
    return hash16(None, data)


def _strict(pizza: str) -> None: ...
