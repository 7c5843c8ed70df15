"""The two engines under measurement: each with its rows and its sides, and the server of one of them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.database import Database
from bench.huey_side import HueySide
from bench.peer_side import PgqueuerSide, ProcrastinateSide
from bench.postgres_rows import POSTGRES_ROWS
from bench.rota_side import PostgresRota, SqliteRota
from bench.side import Side
from bench.sqlite_rows import SQLITE_ROWS
from bench.table import Row
from scripts.postgres_server import PostgresServer

VARIABLE = "ROTA_BENCH_POSTGRES"
SETTINGS = {
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "shared_buffers": "1GB",
    "max_wal_size": "8GB",
    "min_wal_size": "4GB",
    "max_connections": "700",
}
"""Durable. A checkpoint in the middle of a run would hit one side by chance: there is room for none but those asked for. A
server that has been up for a while has files for its write-ahead log, and does not make new ones all the time: these stay."""


@dataclass(frozen=True)
class Engine:
    """One engine.

    Attributes:
        title: Of its table.
        names: How each side is called in the table, by its name; rota first.
        rows: By name.
    """

    name: str
    title: str
    names: Mapping[str, str]
    rows: Mapping[str, Row]


SQLITE = Engine("sqlite", "SQLite", {"rota": "rota", "huey": "Huey"}, SQLITE_ROWS)
POSTGRES = Engine(
    "postgres",
    "PostgreSQL",
    {"rota": "rota", "pgqueuer": "PgQueuer", "procrastinate": "Procrastinate"},
    POSTGRES_ROWS,
)
ENGINES = {engine.name: engine for engine in (SQLITE, POSTGRES)}


@contextmanager
def sides_of(engine: Engine, scratch: Path) -> Iterator[Mapping[str, Side]]:
    """Make the sides of an engine, with a server if there must be one.

    Raises:
        NoServerError: There is neither a server to use nor one to start.
    """
    if engine is SQLITE:
        yield {"rota": SqliteRota(scratch / "rota"), "huey": HueySide(scratch / "huey")}
        return
    scratch.mkdir(parents=True, exist_ok=True)
    url = os.environ.get(VARIABLE)
    server = PostgresServer(url) if url else _own_server(scratch)
    sides: dict[str, Side] = {
        side.name: side
        for side in (
            PostgresRota(scratch / "rota", server.url),
            PgqueuerSide(scratch / "pgqueuer", server.url),
            ProcrastinateSide(scratch / "procrastinate", server.url),
        )
    }
    try:
        yield sides
    finally:
        for side in sides.values():
            if side.database is not None:
                side.database.drop()
        server.stop()
        shutil.rmtree(scratch, ignore_errors=True)


def _own_server(scratch: Path) -> PostgresServer:
    """Start one on the disk of the checkout, if its user may go there; with files for its write-ahead log."""
    is_reachable = os.geteuid() != 0 or all(part.stat().st_mode & 0o001 for part in (scratch, *scratch.parents))
    server = PostgresServer.start_own(settings=SETTINGS, folder=scratch if is_reachable else None)
    database = Database(server.url, "bench_warm")
    database.recreate()
    database.execute(
        "CREATE TABLE filler AS SELECT repeat(md5(n::text), 30) AS text FROM generate_series(1, 1000000) n",
        "DROP TABLE filler",
        "CHECKPOINT",
    )
    database.drop()
    return server
