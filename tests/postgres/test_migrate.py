"""Migrations: looked at, printed, stopped anywhere, and refused by code that is older."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from shutil import which

import asyncpg
import pytest

from rota.errors import SchemaVersionError, StoreError
from rota.store.postgres.migrate import migrate, pending, script
from rota.store.postgres.schema import FUNCTIONS
from rota.store.postgres.store import PostgresStore
from rota.testing.clock import ManualClock
from tests.postgres_server import PostgresServer

pytestmark = pytest.mark.postgres

PATIENCE_S = 30
MODULE = sys.modules["rota.store.postgres.migrate"]
STEPS = ["001_first", "functions"]

_SHAPE = """
SELECT c.relname || '.' || a.attname || ' ' || format_type(a.atttypid, a.atttypmod) || ' ' || a.attnotnull
  FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
 WHERE c.relnamespace = $1::text::regnamespace AND a.attnum > 0
 UNION ALL
SELECT c.relname || ' ' || c.relkind::text || coalesce(c.reloptions::text, '')
  FROM pg_class c WHERE c.relnamespace = $1::text::regnamespace
 UNION ALL
SELECT p.proname || ' ' || pg_get_function_identity_arguments(p.oid) || md5(p.prosrc) || p.prosecdef
       || replace(coalesce(p.proconfig::text, ''), $1, 'schema')
  FROM pg_proc p WHERE p.pronamespace = $1::text::regnamespace
 ORDER BY 1
"""


async def shape_of(server: PostgresServer, schema: str) -> list[str]:
    """Return every column, option and function of a schema; none if there is no such schema."""
    connection = await asyncpg.connect(server.url)
    try:
        if not await connection.fetchval("SELECT to_regnamespace($1)", schema):
            return []
        return [record[0] for record in await connection.fetch(_SHAPE, schema)]
    finally:
        await connection.close()


def with_migrations(monkeypatch: pytest.MonkeyPatch, **texts: str) -> None:
    """Let there be more migrations, numbered on."""
    found: Mapping[int, tuple[str, str]] = MODULE.migrations()
    more = {len(found) + number: each for number, each in enumerate(texts.items(), start=1)}
    monkeypatch.setattr(MODULE, "migrations", lambda: {**found, **more})


async def test_what_is_missing_is_said_and_nothing_is_done(server: PostgresServer) -> None:
    """Before a night shift, one wants to know what it will do."""
    schema = server.fresh_schema()

    assert [step.name for step in await pending(server.url, schema=schema)] == STEPS
    assert await shape_of(server, schema) == []

    await migrate(server.url, schema=schema)
    assert await pending(server.url, schema=schema) == []


async def test_what_is_printed_makes_the_same(server: PostgresServer, clock: ManualClock) -> None:
    """Whoever may not be given the rights gives the script to who has them."""
    ours, theirs = server.fresh_schema(), server.fresh_schema()
    await migrate(server.url, schema=ours)

    await by_hand(server, script(await pending(server.url, schema=theirs), theirs))

    assert await shape_of(server, theirs) == await shape_of(server, ours)
    assert await pending(server.url, schema=theirs) == []
    await (await PostgresStore.open(server.url, clock=clock, schema=theirs)).close()


async def by_hand(server: PostgresServer, text: str) -> None:
    """Run a script with psql; without one as psql would."""
    if which("psql"):
        psql = await asyncio.create_subprocess_exec(
            "psql", "--quiet", server.url, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL
        )
        await psql.communicate(text.encode())
        assert psql.returncode == 0
        return
    connection = await asyncpg.connect(server.url)
    await connection.execute(text.partition("\n")[2])
    await connection.close()


async def test_an_older_schema_gets_what_is_missing(
    server: PostgresServer, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One step after the other, each once; until then the newer code does not touch it."""
    schema = server.fresh_schema()
    await migrate(server.url, schema=schema)
    with_migrations(monkeypatch, later="CREATE TABLE later (id integer)")

    with pytest.raises(SchemaVersionError, match="Run `rota migrate`"):
        await PostgresStore.open(server.url, clock=clock, schema=schema)
    assert await migrate(server.url, schema=schema) == ["later"]

    await (await PostgresStore.open(server.url, clock=clock, schema=schema)).close()


async def test_a_step_that_fails_leaves_nothing(server: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The steps before it stay done, and the next call goes on with it."""
    schema = server.fresh_schema()
    with monkeypatch.context() as broken:
        with_migrations(broken, later="CREATE TABLE later (id integer); SELECT 1 / 0; CREATE TABLE last (id integer)")
        with pytest.raises(StoreError, match="division by zero"):
            await migrate(server.url, schema=schema)
    assert [name for name in await shape_of(server, schema) if name.startswith("later")] == []

    with_migrations(monkeypatch, later="CREATE TABLE later (id integer)")

    assert await migrate(server.url, schema=schema) == ["later", "functions"]


async def test_killed_half_way_it_is_simply_run_again(server: PostgresServer) -> None:
    """The connection broke, the laptop was closed: kill -9 in the middle of a step."""
    schema = server.fresh_schema()
    connection = await asyncpg.connect(server.url)
    first, _ = await pending(server.url, schema=schema)
    await connection.execute(f"BEGIN; {first.sql} COMMIT")
    await connection.execute(f"BEGIN; LOCK TABLE {schema}.migrations IN SHARE MODE")
    migrating = await asyncio.create_subprocess_exec(sys.executable, "-c", _MIGRATE, server.url, schema)
    async with asyncio.timeout(PATIENCE_S):
        while not await connection.fetchval(
            "SELECT true FROM pg_stat_activity WHERE pg_backend_pid() = ANY (pg_blocking_pids(pid))"
        ):
            await connection.execute("SELECT pg_stat_clear_snapshot()")
            await asyncio.sleep(0.01)
    migrating.kill()
    await migrating.wait()
    await connection.execute("COMMIT")
    await connection.close()

    assert [line for line in await shape_of(server, schema) if line.startswith("settle_jobs")] == []
    assert await migrate(server.url, schema=schema) == ["functions"]


_MIGRATE = """
import asyncio, sys
from rota.store.postgres.migrate import migrate
asyncio.run(migrate(sys.argv[1], schema=sys.argv[2]))
"""


async def test_functions_of_a_rota_that_was_never_released(server: PostgresServer, clock: ManualClock) -> None:
    """Of the same number nobody knows which are newer: who runs the older ones must not be sent to bring them back."""
    schema = server.fresh_schema()
    await migrate(server.url, schema=schema)
    connection = await asyncpg.connect(server.url)
    name = f"functions {FUNCTIONS}, for code from 1 on, of others"
    await connection.execute(f"UPDATE {schema}.migrations SET name = $1 WHERE no = 0", name)

    with pytest.raises(SchemaVersionError, match=r"newest.* Run `rota migrate` .* Else: .*pip install --upgrade rota"):
        await PostgresStore.open(server.url, clock=clock, schema=schema)
    await connection.execute(f"DELETE FROM {schema}.migrations WHERE no = 0")
    with pytest.raises(SchemaVersionError, match=r"functions are missing\. Run `rota migrate` \(with --app or --store"):
        await PostgresStore.open(server.url, clock=clock, schema=schema)
    await connection.close()


async def test_a_newer_schema_is_refused_with_the_command_to_type(server: PostgresServer, clock: ManualClock) -> None:
    """By the store, by a migration and by a dry run alike; and nothing is changed."""
    schema = server.fresh_schema()
    await migrate(server.url, schema=schema)
    connection = await asyncpg.connect(server.url)
    await connection.execute(f"INSERT INTO {schema}.migrations (no, name) VALUES (999, 'from tomorrow')")
    await connection.close()
    before = await shape_of(server, schema)

    for call in (
        PostgresStore.open(server.url, clock=clock, schema=schema),
        migrate(server.url, schema=schema),
        pending(server.url, schema=schema),
    ):
        with pytest.raises(SchemaVersionError, match=r"999; this code knows 1.*`pip install --upgrade rota`"):
            await call

    assert await shape_of(server, schema) == before
