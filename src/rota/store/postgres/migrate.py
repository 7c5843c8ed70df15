"""From an empty schema, or an older one, to what this code needs.

    migrations/001_first.sql, … (once each, in order)   then   sql/*.sql (all functions, made anew)

A migration and the functions are each one transaction under one lock, so that it may be stopped anywhere and run again, and
by several at once. Functions carry their own settings: behind a pooler the session's do not exist.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from importlib.resources import files

import asyncpg

from rota.errors import SchemaVersionError
from rota.store.postgres.bounds import UNHURRIED
from rota.store.postgres.errors import DRIVER_ERRORS, translated
from rota.store.postgres.server import Server, quoted
from rota.store.statements import load, without_comments

PLANNER = {
    # The tables are analysed while empty or full, at random: keep the planner off plans that read all of one.
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    # Compiling takes longer than any of these statements.
    "jit": "off",
    # Plan once a connection; the parameters make no difference to the plan.
    "plan_cache_mode": "force_generic_plan",
}
"""Settings of every function, and why."""

_INNER = frozenset(
    {"stage_keys", "stage_slots", "tell_wakes", "best_of_slots", "keep_jobs", "refuse_settles", "token_at", "token_ms"}
)
"""Called by other functions only, whose settings hold for them: setting them once more takes time."""

_PLAIN = frozenset({"submit_job", "list_partitions", "make_partitions", "drop_partition"})
"""Functions in which there is nothing to plan, or that have settings of their own."""

_LOCK = 7_001


async def migrate(url: str, schema: str = "rota") -> list[str]:
    """Bring a schema up to date and return the names of the migrations that were run.

    Safe to call again, and by several processes at once.

    Raises:
        StoreUnavailableError: The server cannot be reached.
        SchemaVersionError: The schema is newer than this code.
    """
    server = Server(url, schema, connections_max=1, bounds=UNHURRIED)
    try:
        async with server.connection() as connection:
            try:
                return await _migrate(connection, schema, server.where)
            except DRIVER_ERRORS as problem:
                raise translated(problem, where=server.where, doing="migrate", writes=True) from problem
    finally:
        await server.close()


async def check_version(server: Server) -> None:
    """Refuse a schema that is older or newer than this code.

    Raises:
        SchemaVersionError: With what to do.
    """
    async with server.connection() as connection:
        try:
            name = await connection.fetchval("SELECT to_regclass($1)::text", f"{quoted(server.schema)}.migrations")
            found = await _applied(connection, server.schema) if name else {}
        except DRIVER_ERRORS as problem:
            raise translated(problem, where=server.where, doing="check_version", writes=False) from problem
    ours = len(migrations())
    if not found:
        raise SchemaVersionError(
            f"{server.where} has no schema {server.schema!r} of rota yet. Run `rota migrate`.", found=0, needed=ours
        )
    newest = max(found)
    if newest > ours:
        raise SchemaVersionError(
            f"{server.where} has schema version {newest}; this code knows {ours}. Install a newer rota.",
            found=newest,
            needed=ours,
        )
    if newest < ours or found.get(0) != functions_name():
        raise SchemaVersionError(
            f"{server.where} has schema version {newest} of older code; this one needs {ours}. Run `rota migrate`.",
            found=newest,
            needed=ours,
        )


def migrations() -> Mapping[int, tuple[str, str]]:
    """Return name and text of every migration by number."""
    found = {}
    for entry in (files("rota.store") / "postgres" / "migrations").iterdir():
        if entry.name.endswith(".sql"):
            name = entry.name.removesuffix(".sql")
            found[int(name.partition("_")[0])] = (name, without_comments(entry.read_text(encoding="utf-8")))
    return dict(sorted(found.items()))


def functions_name() -> str:
    """Return a name that changes with the text of any function."""
    digest = blake2b(digest_size=8)
    for name, text in load("postgres").items():
        digest.update(f"{name}\n{text}\n".encode())
    digest.update(repr(sorted(PLANNER.items())).encode())
    return f"functions {digest.hexdigest()}"


async def install_functions(connection: asyncpg.Connection, schema: str, texts: Mapping[str, str]) -> None:
    """Make functions anew from their texts, with the settings that they need. Old ones of these names go."""
    old = await connection.fetch(
        "SELECT p.oid::regprocedure::text AS signature FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace "
        "WHERE n.nspname = $1 AND p.proname = ANY ($2)",
        schema,
        list(texts),
    )
    settings = " ".join(f"SET {key} = {value}" for key, value in PLANNER.items())
    statements = [f"DROP FUNCTION {record['signature']}" for record in old]
    for name, text in texts.items():
        statements.append(text.rstrip().removesuffix(";"))
        if name not in _INNER:
            planner = "" if name in _PLAIN else settings
            statements.append(f"ALTER FUNCTION {quoted(schema)}.{name} SET search_path FROM CURRENT {planner}")
    await connection.execute(";\n".join(statements))


async def _migrate(connection: asyncpg.Connection, schema: str, where: str) -> list[str]:
    run: list[str] = []
    wanted = migrations()
    await connection.execute(f"SELECT pg_advisory_lock({_LOCK}, hashtext($1))".replace("$1", _literal(schema)))
    await connection.execute(f"CREATE SCHEMA IF NOT EXISTS {quoted(schema)}")
    await connection.execute(f"SET search_path = {quoted(schema)}, pg_temp")
    await connection.execute(
        "CREATE TABLE IF NOT EXISTS migrations (no integer PRIMARY KEY, name text NOT NULL, "
        "applied_at timestamptz NOT NULL DEFAULT now())"
    )
    found = await _applied(connection, schema)
    if found and max(found) > len(wanted):
        raise SchemaVersionError(f"{where} has schema version {max(found)}; this code knows {len(wanted)}.")
    for number, (name, text) in wanted.items():
        if number not in found:
            async with connection.transaction():
                await connection.execute(text)
                await connection.execute("INSERT INTO migrations (no, name) VALUES ($1, $2)", number, name)
            run.append(name)
    if found.get(0) != functions_name():
        async with connection.transaction():
            await install_functions(connection, schema, load("postgres"))
            await connection.execute(
                "INSERT INTO migrations (no, name) VALUES (0, $1) "
                "ON CONFLICT (no) DO UPDATE SET name = excluded.name, applied_at = now()",
                functions_name(),
            )
        run.append("functions")
    return run


async def _applied(connection: asyncpg.Connection, schema: str) -> dict[int, str]:
    records = await connection.fetch(f"SELECT no, name FROM {quoted(schema)}.migrations")  # noqa: S608  (a name)
    return {record["no"]: record["name"] for record in records}


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
