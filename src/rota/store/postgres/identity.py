"""What tells a store from every other, also from a copy of it: server, database and schema, by number."""

from __future__ import annotations

from typing import Final

from rota.errors import ConfigError
from rota.store.postgres.bounds import BOUNDS
from rota.store.postgres.connect import Connector
from rota.store.postgres.errors import DRIVER_ERRORS, translated

IDENTITY: Final = "(SELECT c.system_identifier FROM pg_catalog.pg_control_system() c) || '/' || d.oid || '/' || n.oid"
"""Null where there is no such schema. ``d`` is the row of the database, ``n`` that of the schema; everybody may read both."""

_ASKED: Final = f"""
SELECT {IDENTITY}
  FROM pg_catalog.pg_database d
  LEFT JOIN pg_catalog.pg_namespace n ON n.nspname = $1::text
 WHERE d.datname = pg_catalog.current_database()
"""  # noqa: S608  (a constant)


async def refuse_other_store(url: str, lease_url: str, schema: str) -> None:
    """Refuse an address for leases that leads to another store than the jobs are in.

    The nodes of all stores are numbered alike. A lease that is renewed in another one keeps a stranger alive there, while the
    node is given up for dead here, with its workers at work. A store without a schema is left to whoever opens it.

    Raises:
        ConfigError: It does.
        StoreUnavailableError: One of the two cannot be reached.
    """
    ours = await _identity_at(url, schema)
    if ours is not None and await _identity_at(lease_url, schema) != ours:
        there, here = Connector(lease_url, schema).where, Connector(url, schema).where
        raise ConfigError(
            f"lease_dsn leads to {there}, which is another store than {here}: a lease that is renewed there proves nothing "
            "here. Nothing was started. Give the address of the same database, past its pooler, or leave it out.",
            name="lease_dsn",
        )


async def _identity_at(url: str, schema: str) -> str | None:
    connector = Connector(url, schema)
    connection = await connector.connect()
    try:
        found: str | None = await connection.fetchval(_ASKED, schema, timeout=BOUNDS.connect_s)
    except DRIVER_ERRORS as problem:
        raise translated(problem, where=connector.where, doing="refuse_other_store", writes=False) from problem
    finally:
        connection.terminate()
    return found
