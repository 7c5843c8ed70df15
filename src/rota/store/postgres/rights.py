"""What a role must be allowed to do, and what it is not.

Everybody may ask this of the catalogue, so that it can be said also to a role that may do nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence

import asyncpg

from rota.errors import StoreUnavailableError
from rota.store.postgres.server import Server, quoted
from rota.store.statements import load

_NAMED_MAX = 8

_MISSING = """
WITH n AS (SELECT oid, nspname FROM pg_namespace WHERE nspname = $1)
SELECT x.missing
  FROM (SELECT 1 AS o, format('USAGE on schema %s', n.nspname) AS missing
          FROM n
         WHERE NOT has_schema_privilege(n.oid, 'USAGE')
         UNION ALL
        SELECT 2, format('%s on table %s', string_agg(r.name, ', ' ORDER BY r.o), c.relname)
          FROM n
          JOIN pg_class c ON c.relnamespace = n.oid AND c.relkind IN ('r', 'p') AND NOT c.relispartition
         CROSS JOIN (VALUES (1, 'SELECT'), (2, 'INSERT'), (3, 'UPDATE'), (4, 'DELETE')) r(o, name)
         WHERE NOT has_table_privilege(c.oid, r.name) AND (c.relname <> 'migrations' OR r.name = 'SELECT')
         GROUP BY c.relname
         UNION ALL
        SELECT 3, format('EXECUTE on function %s', p.proname)
          FROM n
          JOIN pg_proc p ON p.pronamespace = n.oid
         WHERE NOT has_function_privilege(p.oid, 'EXECUTE') AND p.proname = ANY ($2)) x
 ORDER BY x.o, x.missing
"""


async def missing_rights(connection: asyncpg.Connection, schema: str) -> Sequence[str]:
    """Return what this role may not do in the schema and has to, such as ``INSERT on table live``; empty if all is well."""
    return [record["missing"] for record in await connection.fetch(_MISSING, schema, list(load("postgres")))]


async def require_rights(url: str, schema: str) -> None:
    """Refuse a role that may not do all that a node does. One that may only look could ask for ever.

    Raises:
        StoreUnavailableError: With what is missing, and the GRANT to type; or the server cannot be reached.
    """
    server = Server(url, schema, connections_max=1)
    try:
        async with server.connection("require_rights") as connection:
            missing = await missing_rights(connection, schema)
            if missing:
                raise denied(server.where, schema, await role_of(connection), missing)
    finally:
        await server.close()


def denied(where: str, schema: str, role: str, missing: Sequence[str]) -> StoreUnavailableError:
    """Return the error for a role that lacks these rights."""
    return StoreUnavailableError(
        f"{where} does not let role {role} work: it lacks {told(missing)}. Nothing was written. Let the schema's owner say "
        f"`{grants(schema, role)}`",
        store=where,
    )


_WRITABLE = """
SELECT count(*)
  FROM pg_class c
 WHERE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1) AND c.relkind IN ('r', 'p')
   AND has_table_privilege(c.oid, 'INSERT, UPDATE, DELETE')
"""


async def only_looks(connection: asyncpg.Connection, schema: str, missing: Sequence[str]) -> bool:
    """Whether what is missing is all rights to write and no other: a role that was made to look, and can."""
    if not missing or not all(each.startswith("INSERT, UPDATE, DELETE on table") for each in missing):
        return False
    return int(await connection.fetchval(_WRITABLE, schema)) == 0


async def role_of(connection: asyncpg.Connection) -> str:
    """Return the role that a connection acts as."""
    return str(await connection.fetchval("SELECT current_user::text"))


def told(missing: Sequence[str]) -> str:
    """Return the missing rights as a list for people."""
    more = f", and {len(missing) - _NAMED_MAX} more" if len(missing) > _NAMED_MAX else ""
    return "; ".join(missing[:_NAMED_MAX]) + more


def grants(schema: str, role: str) -> str:
    """Return what the schema's owner says to give a role all that a node, and a program that submits, needs."""
    to, where = quoted(role), f"IN SCHEMA {quoted(schema)} TO {quoted(role)};"
    return (
        f"GRANT USAGE ON SCHEMA {quoted(schema)} TO {to}; "
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES {where} "
        f"GRANT EXECUTE ON ALL FUNCTIONS {where}"
    )
