"""Old code and new functions, and the other way round: what a rolling deploy does to a schema."""

from __future__ import annotations

import asyncpg
import pytest

from rota.errors import SchemaVersionError, StoreError
from rota.store.port import Store
from rota.store.postgres.migrate import install_functions, migrate, pending, script
from rota.store.postgres.schema import FUNCTIONS
from rota.store.postgres.store import PostgresStore
from rota.store.statements import load
from rota.testing.clock import ManualClock
from tests.postgres.test_migrate import by_hand, shape_of
from tests.postgres_server import PostgresServer

pytestmark = pytest.mark.postgres

OLDER = "functions 2356d575d484ec0c"
"""As they were noted when they had no number."""

_CHANGED = """
SET search_path = {schema};
CREATE OR REPLACE FUNCTION later() RETURNS void LANGUAGE sql AS 'SELECT';
CREATE OR REPLACE FUNCTION count_waiting(p_queue smallint, p_max bigint) RETURNS bigint LANGUAGE sql AS 'SELECT 7::bigint';
"""

_REPLACED_TWICE = """
CREATE SEQUENCE {schema}.calls;
ALTER FUNCTION {schema}.set_paused RENAME TO paused;
CREATE FUNCTION {schema}.set_paused(p_queue smallint, p_is_paused boolean) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF nextval('{schema}.calls') <= {times} THEN
        RAISE EXCEPTION 'cache lookup failed for function 4711' USING ERRCODE = 'XX000';
    END IF;
    PERFORM {schema}.paused(p_queue, p_is_paused);
END
$$
"""

_DAMAGED = """
CREATE OR REPLACE FUNCTION {schema}.paused(p_queue smallint, p_is_paused boolean) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'cache lookup failed for type 4711' USING ERRCODE = 'XX000';
END
$$
"""


def newer(serves: int) -> str:
    """Return the name of the next functions, for code from that number on."""
    return f"functions {FUNCTIONS + 1}, for code from {serves} on, 0123456789abcdef"


async def note(server: PostgresServer, schema: str, name: str) -> None:
    """Let other functions be installed: with a new one, and one that was changed, as a newer release would have them."""
    connection = await asyncpg.connect(server.url)
    try:
        await connection.execute(f"UPDATE {schema}.migrations SET name = $1 WHERE no = 0", name)
        await connection.execute(_CHANGED.format(schema=schema))
    finally:
        await connection.close()


async def opened(server: PostgresServer, clock: ManualClock, schema: str) -> Store:
    """Open a store of this schema."""
    return await PostgresStore.open(server.url, clock=clock, schema=schema)


async def test_older_code_works_with_newer_functions_that_serve_it(server: PostgresServer, clock: ManualClock) -> None:
    """The new version's migration is through and the old nodes still run: a worker that dies there needs its successor."""
    schema = server.fresh_schema()
    await migrate(server.url, schema=schema)
    await note(server, schema, newer(serves=FUNCTIONS))

    store = await opened(server, clock, schema)

    await store.set_paused("ovens", True)
    assert [queue.is_paused for queue in await store.queues()] == [True]
    (check,) = [check for check in await store.doctor() if check.name == "schema"]
    await store.close()
    assert check.level == "note"
    assert f"functions {FUNCTIONS + 1}" in check.says
    assert f"newer than this code ({FUNCTIONS})" in check.says
    assert "pip install --upgrade rota" in check.advice


async def test_a_function_may_get_another_argument_under_older_code(server: PostgresServer, clock: ManualClock) -> None:
    """One with a default: what the connection had prepared is prepared anew."""
    schema = server.fresh_schema()
    await migrate(server.url, schema=schema)
    store = await PostgresStore.open(server.url, clock=clock, schema=schema, connections_max=1)
    await store.set_paused("ovens", True)
    before = await store.queues()
    text = load("postgres")["list_queues"]
    newer_text = text.replace("(p_now bigint)", "(p_now bigint, p_more boolean DEFAULT true)")

    connection = await asyncpg.connect(server.url)
    await connection.execute(f"SET search_path = {schema}")
    await install_functions(connection, schema, {"list_queues": newer_text})
    await connection.close()

    assert newer_text != text
    assert await store.queues() == before
    await store.close()


async def test_older_code_that_is_served_no_more_is_told_who_is_newer(
    server: PostgresServer, clock: ManualClock
) -> None:
    """It must not be told to migrate: that would take the functions away from the newer nodes."""
    schema = server.fresh_schema()
    await migrate(server.url, schema=schema)
    await note(server, schema, newer(serves=FUNCTIONS + 1))

    with pytest.raises(SchemaVersionError, match=rf"newer functions \({FUNCTIONS + 1}\) than this code") as caught:
        await opened(server, clock, schema)

    assert f"serve code from {FUNCTIONS + 1} on" in str(caught.value)
    assert "pip install --upgrade rota" in str(caught.value)
    assert "rota migrate" not in str(caught.value)


@pytest.mark.parametrize("serves", [FUNCTIONS, FUNCTIONS + 1])
async def test_older_code_never_replaces_newer_functions(server: PostgresServer, serves: int) -> None:
    """`rota migrate` in the start script of an old container, which is started again in the middle of a deploy."""
    schema = server.fresh_schema()
    await migrate(server.url, schema=schema)
    await note(server, schema, newer(serves))
    before = await shape_of(server, schema)

    for call in (migrate(server.url, schema=schema), pending(server.url, schema=schema)):
        with pytest.raises(SchemaVersionError, match=r"newer functions .* Nothing was changed\.") as caught:
            await call
        assert ("need no migration" in str(caught.value)) == (serves == FUNCTIONS)

    assert await shape_of(server, schema) == before


async def test_a_script_that_was_printed_by_older_code_replaces_no_newer_functions(server: PostgresServer) -> None:
    """It was printed before the newer migration, and is given to psql after it."""
    schema = server.fresh_schema()
    await migrate(server.url, schema=schema)
    await note(server, schema, OLDER)
    text = script(await pending(server.url, schema=schema), schema)
    await note(server, schema, newer(FUNCTIONS))
    before = await shape_of(server, schema)

    with pytest.raises((AssertionError, asyncpg.RaiseError)):  # psql's exit code, or the server's error
        await by_hand(server, text)

    assert await shape_of(server, schema) == before


async def test_newer_code_is_told_to_migrate_and_does(server: PostgresServer, clock: ManualClock) -> None:
    """Functions from before they had numbers are older than all that have one."""
    schema = server.fresh_schema()
    await migrate(server.url, schema=schema)
    await note(server, schema, OLDER)

    with pytest.raises(SchemaVersionError, match=r"older functions than this code needs .*Run `rota migrate`"):
        await opened(server, clock, schema)
    assert await migrate(server.url, schema=schema) == ["functions"]

    await (await opened(server, clock, schema)).close()


async def test_newer_tables_are_refused_unless_their_functions_serve(
    server: PostgresServer, clock: ManualClock
) -> None:
    """A new version has a migration of its own; what older code does, it does through the functions."""
    schema = server.fresh_schema()
    await migrate(server.url, schema=schema)
    connection = await asyncpg.connect(server.url)
    await connection.execute(f"INSERT INTO {schema}.migrations (no, name) VALUES (999, 'from tomorrow')")
    await connection.close()
    with pytest.raises(SchemaVersionError, match="schema version 999"):
        await opened(server, clock, schema)

    await note(server, schema, newer(serves=FUNCTIONS))

    await (await opened(server, clock, schema)).close()
    with pytest.raises(SchemaVersionError, match=r"schema version 999.* need no migration"):
        await migrate(server.url, schema=schema)


async def test_a_call_whose_function_is_replaced_meanwhile_is_made_again(
    server: PostgresServer, clock: ManualClock
) -> None:
    """`rota migrate` under nodes that run: the server calls it damage, and a node would end for it."""
    schema = server.fresh_schema()
    await migrate(server.url, schema=schema)
    store = await opened(server, clock, schema)
    connection = await asyncpg.connect(server.url)
    await store.set_paused("ovens", False)
    await connection.execute(_REPLACED_TWICE.format(schema=schema, times=2))

    await store.set_paused("ovens", True)

    assert [queue.is_paused for queue in await store.queues()] == [True]
    await connection.execute(_DAMAGED.format(schema=schema))
    with pytest.raises(StoreError, match="reports damage"):
        await store.set_paused("ovens", True)
    await connection.close()
    await store.close()
