"""Where the demo keeps its jobs: in a SQLite file, or on a PostgreSQL server that is given, or that it starts itself."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from rota.app.address import POSTGRES, read_address, without_secrets
from rota.app.config import load_config
from rota.app.engine import migrate_store

ENGINES = ("sqlite", "postgres")
STORE, SCHEMA = "ROTA_STORE", "ROTA_SCHEMA"
OWN_SCHEMA = "rota_demo"
"""On a server that is given: whatever else is there is left alone."""


@contextmanager
def place_for(engine: str, folder: Path, console: Console) -> Iterator[str]:
    """Yield the store's address, and say it to all processes by the environment.

    Raises:
        SystemExit: There is no PostgreSQL server, with what to do.
    """
    if engine == "sqlite":
        os.environ[STORE] = str(folder / "index.db")
        yield os.environ[STORE]
        return
    given = os.environ.get(STORE, "")
    if given and read_address(given).engine == POSTGRES:
        os.environ[SCHEMA] = OWN_SCHEMA
        asyncio.run(_drop_schema(given))
        asyncio.run(migrate_store(given, config=load_config({})))
        console.print(f"in schema {OWN_SCHEMA} of {without_secrets(given)}", highlight=False)
        yield given
        return
    with _own_server(console) as url:
        os.environ[STORE] = url
        asyncio.run(migrate_store(url, config=load_config({})))
        yield url


@contextmanager
def _own_server(console: Console) -> Iterator[str]:
    from scripts.postgres_server import NoServerError, PostgresServer

    try:
        server = PostgresServer.start_own()
    except NoServerError as problem:
        raise SystemExit(
            f"The demo on PostgreSQL has no server: {problem}\n"
            f"Or name one that is there: {STORE}=postgresql://user@host/database make demo ENGINE=postgres"
        ) from None
    try:
        console.print(
            f"on a PostgreSQL server of its own, process {server.pid}, for as long as this takes", highlight=False
        )
        yield server.url
    finally:
        server.stop()


async def _drop_schema(url: str) -> None:
    import asyncpg

    connection = await asyncpg.connect(url)
    try:
        await connection.execute(f'DROP SCHEMA IF EXISTS "{OWN_SCHEMA}" CASCADE')
    finally:
        await connection.close()
