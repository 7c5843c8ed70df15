"""From an empty schema, or an older one, to what this code needs.

    migrations/001_first.sql, … (once each, in order)   then   sql/*.sql (all functions, made anew)

Each step is one transaction that begins with one lock, looks what is there, and does the next thing that is missing: so it
may be stopped anywhere and run again, by several at once, and through a pooler. Needs the rights of the schema's owner.

Invariants, each with the test that holds it:
    Killed at any step and run again, it ends where it would have.      tests/postgres/test_migrate.py
    Run by many at once, each step is done once.                        tests/postgres/test_migrate.py
    What ``--sql`` prints makes the same schema.                        tests/postgres/test_migrate.py
    Newer functions are never replaced by older ones.                   tests/postgres/test_editions.py
    Older code works with newer functions that serve it.                tests/postgres/test_editions.py
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

import asyncpg

from rota.errors import SchemaVersionError, StoreUnavailableError
from rota.store.postgres.bounds import UNHURRIED
from rota.store.postgres.errors import DRIVER_ERRORS, translated
from rota.store.postgres.rights import grants, missing_rights, role_of, told
from rota.store.postgres.schema import (
    FUNCTIONS,
    Edition,
    functions_name,
    functions_sql,
    literal,
    migrations,
    unless_newer,
)
from rota.store.postgres.server import Server, quoted
from rota.store.statements import Step, load

_LOCK = 7_001
_UPGRADE = "Install a newer rota: `pip install --upgrade rota`."
_MIGRATE = "Run `rota migrate` (with --app or --store, if ROTA_STORE does not name this store)."


async def migrate(url: str, schema: str = "rota") -> list[str]:
    """Bring a schema up to date and return the names of the steps that were done.

    Safe to call again, and by several processes at once. If the process dies half way, the steps that are done stay done and
    the one that was not has left nothing.

    Raises:
        StoreUnavailableError: The server cannot be reached, or gives this role no right to do it.
        SchemaVersionError: The schema, or its functions, are newer than this code. Nothing was changed.
    """
    done: list[str] = []
    async with _connected(url, schema) as (connection, where):
        while True:
            async with connection.transaction(isolation="read_committed"):
                await connection.execute(_locked(schema))
                missing = await _missing(connection, schema, where)
                if not missing:
                    return done
                await connection.execute(missing[0].sql)
            done.append(missing[0].name)


async def pending(url: str, schema: str = "rota") -> Sequence[Step]:
    """Return the steps that ``migrate`` would do now. Writes nothing, and needs no right but to connect.

    Raises:
        StoreUnavailableError: The server cannot be reached.
        SchemaVersionError: The schema, or its functions, are newer than this code.
    """
    async with _connected(url, schema) as (connection, where):
        return await _missing(connection, schema, where)


def script(steps: Sequence[Step], schema: str) -> str:
    """Return the steps as one script for ``psql``, one transaction a step. Where it was stopped, print what is missing then."""
    parts = [r"\set ON_ERROR_STOP on"]
    for step in steps:
        begin = "BEGIN TRANSACTION ISOLATION LEVEL READ COMMITTED;"
        parts.append(f"-- {step.name}\n{begin}\n{_locked(schema)};\n{step.sql}COMMIT;")
    return "\n\n".join(parts) + "\n"


async def check_version(server: Server) -> None:
    """Refuse a schema that is older than this code, or newer and not for it any more.

    While a new version is rolled out, nodes of the old one go on, and so do the successors of its processes that die.

    Raises:
        SchemaVersionError: With what to do.
        StoreUnavailableError: The server cannot be reached, or this role may not look at the schema.
    """
    async with server.connection() as connection:
        try:
            found = await _applied(connection, server.schema)
        except asyncpg.InsufficientPrivilegeError as problem:
            missing, role = await missing_rights(connection, server.schema), await role_of(connection)
            raise StoreUnavailableError(
                f"{server.where} lets role {role} do nothing: it lacks {told(missing)}. Let the schema's owner say "
                f"`{grants(server.schema, role)}`",
                store=server.where,
            ) from problem
        except DRIVER_ERRORS as problem:
            raise translated(problem, where=server.where, doing="check_version", writes=False) from problem
    ours = len(migrations())
    if not found:
        raise SchemaVersionError(
            f"{server.where} has no schema {server.schema!r} of rota yet. {_MIGRATE}", found=0, needed=ours
        )
    newest, edition = max(found), Edition.of(found.get(0))
    if newest >= ours and edition.is_newer and edition.serves_us:
        return
    _refuse_newer(found, server.where)
    says = ""
    if newest < ours:
        says = f"has schema version {newest}; this code needs {ours}. {_MIGRATE}"
    elif 0 not in found:
        says = f"has schema version {newest}, and its functions are missing. {_MIGRATE}"
    elif edition.number < FUNCTIONS:
        says = f"has older functions than this code needs ({edition.number}, not {FUNCTIONS}). {_MIGRATE}"
    elif found[0] != functions_name():
        says = (
            f"has functions of another rota that is neither newer nor older than this one (both are {FUNCTIONS}): one of "
            f"the two was never released. Is this the newest that is in use here? {_MIGRATE} Else: {_UPGRADE}"
        )
    if says:
        raise SchemaVersionError(f"{server.where} {says}", found=newest, needed=ours)


async def version_told(connection: asyncpg.Connection, schema: str) -> str:
    """Return which migration was the last and which functions are installed, for people."""
    found = await _applied(connection, schema)
    return f"version {max(found)}, {found[0]}"


async def install_functions(connection: asyncpg.Connection, schema: str, texts: Mapping[str, str]) -> None:
    """Make functions anew from their texts, with the settings that they need. Old ones of these names go."""
    await connection.execute(functions_sql(schema, texts))


@asynccontextmanager
async def _connected(url: str, schema: str) -> AsyncIterator[tuple[asyncpg.Connection, str]]:
    server = Server(url, schema, connections_max=1, bounds=UNHURRIED)
    try:
        async with server.connection() as connection:
            try:
                yield connection, server.where
            except asyncpg.InsufficientPrivilegeError as problem:
                raise await _denied(problem, connection, schema, server.where) from problem
            except DRIVER_ERRORS as problem:
                raise translated(problem, where=server.where, doing="migrate", writes=True) from problem
    finally:
        await server.close()


async def _denied(
    problem: asyncpg.InsufficientPrivilegeError, connection: asyncpg.Connection, schema: str, where: str
) -> StoreUnavailableError:
    owner = await connection.fetchval(
        "SELECT pg_get_userbyid(nspowner)::text FROM pg_namespace WHERE nspname = $1", schema
    )
    do = f"Come as role {owner}, which owns the schema"
    if owner is None:
        role = await role_of(connection)
        do = f"Let the database's owner say `CREATE SCHEMA {quoted(schema)} AUTHORIZATION {quoted(role)};`"
    return StoreUnavailableError(
        f"{where} refused: {problem.args[0]}. The step was not done, and left nothing. {do}, or let it run what "
        "`rota migrate --sql` prints.",
        store=where,
    )


def _locked(schema: str) -> str:
    return f"SELECT pg_advisory_xact_lock({_LOCK}, hashtext({literal(schema)}))"


async def _missing(connection: asyncpg.Connection, schema: str, where: str) -> list[Step]:
    """Return what is missing, in order, each as a script that leaves it done and noted."""
    found = await _applied(connection, schema)
    _refuse_newer(found, where)
    path = f"SET LOCAL search_path = {quoted(schema)}, pg_temp;\n"
    steps: list[Step] = []
    for number, (name, text) in migrations().items():
        if number not in found:
            begin = path if found or steps else await _beginning(connection, schema) + path
            note = f"INSERT INTO migrations (no, name) VALUES ({number}, {literal(name)});\n"  # noqa: S608
            steps.append(Step(name, f"{begin}{text.rstrip().removesuffix(';')};\n{note}"))
    if found.get(0) != functions_name():
        note = (
            f"INSERT INTO migrations (no, name) VALUES (0, {literal(functions_name())})\n"  # noqa: S608
            "    ON CONFLICT (no) DO UPDATE SET name = excluded.name, applied_at = now();\n"
        )
        # The days to come get their partitions before the first job is settled.
        made = "SELECT make_partitions(NULL, NULL);\n"
        steps.append(Step("functions", path + unless_newer() + functions_sql(schema, load("postgres")) + made + note))
    return steps


async def _beginning(connection: asyncpg.Connection, schema: str) -> str:
    """Return what makes the schema, unless it is there: even to ask for it needs a right on the database; and its first table.

    The table by its full name: a path leaves out what this role may not use, and all tables would be made as temporary ones.
    """
    is_there = await connection.fetchval("SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1)", schema)
    made = "" if is_there else f"CREATE SCHEMA {quoted(schema)};\n"
    return made + (
        f"CREATE TABLE IF NOT EXISTS {quoted(schema)}.migrations (\n    no integer PRIMARY KEY,\n    name text NOT NULL,\n"
        "    applied_at timestamptz NOT NULL DEFAULT now()\n);\n"
    )


async def _applied(connection: asyncpg.Connection, schema: str) -> dict[int, str]:
    """Return the names of what was done by number; 0 is that of the functions."""
    is_there = await connection.fetchval(
        "SELECT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE n.nspname = $1 AND c.relname = 'migrations')",
        schema,
    )
    if not is_there:
        return {}
    records = await connection.fetch(f"SELECT no, name FROM {quoted(schema)}.migrations")  # noqa: S608  (a name)
    return {record["no"]: record["name"] for record in records}


def _refuse_newer(found: Mapping[int, str], where: str) -> None:
    """Refuse what is newer than this code, for a migration as well: what newer nodes need must not be undone under them."""
    newest, ours, edition = max(found, default=0), len(migrations()), Edition.of(found.get(0))
    if newest > ours:
        says = f"has schema version {newest}; this code knows {ours}."
    elif edition.is_newer:
        says = f"has newer functions ({edition.number}) than this code ({FUNCTIONS})."
    else:
        return
    if edition.is_newer:
        says += (
            " They serve this code, too: its nodes need no migration."
            if edition.serves_us
            else f" They serve code from {edition.serves} on."
        )
    raise SchemaVersionError(f"{where} {says} Nothing was changed. {_UPGRADE}", found=newest, needed=ours)
