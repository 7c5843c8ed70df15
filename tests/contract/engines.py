"""The engines under contract, each behind the same three verbs: open a handle, open another, plant damage.

Damage is what no crash of ours leaves behind, so the port has no word for it: it is planted with the engine's own SQL.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol
from uuid import UUID

from rota.model.limits import WAITING_JOBS_MAX
from rota.store.port import Store
from rota.store.sqlite.store import SqliteStore
from rota.testing.clock import ManualClock
from tests.contract.shop import CountingEntropy


class Engine(Protocol):
    """One engine, with a place of its own for this test.

    Attributes:
        outlives_its_handle: What was written is there when it is opened again.
        copies_itself: ``backup`` writes a file; else it says which tool does.
    """

    outlives_its_handle: bool
    copies_itself: bool

    async def open(self, *, waiting_max: int | None = None) -> Store:
        """Return a new handle on the same data (of the in-memory engine: on new, empty data)."""
        ...

    async def open_copy(self, path: Path) -> Store:
        """Open what ``backup`` has written."""
        ...

    async def damage(self, store: Store, statement: str, *values: object) -> None:
        """Run a statement, with ``?`` for values, behind the engine's back."""
        ...


FORGET_HEAD = "UPDATE live SET head = false, ready = false WHERE token = ?"
FORGET_CLAIMS = "DELETE FROM claims"


async def forget_head(engine: Engine, store: Store, token: bytes) -> None:
    """Take the turn from the head of a key without giving it to another."""
    await engine.damage(store, FORGET_HEAD, token)


async def forget_claims(engine: Engine, store: Store) -> None:
    """Lose the rows that say who claimed what."""
    await engine.damage(store, FORGET_CLAIMS)


class SqliteEngine:
    """SQLite, in memory or in a file."""

    copies_itself = True

    def __init__(self, path: Path | None, clock: ManualClock) -> None:
        self.outlives_its_handle = path is not None
        self._path = ":memory:" if path is None else str(path)
        self._clock = clock

    async def open(self, *, waiting_max: int | None = None) -> Store:
        """Open the file once more, or a new database in memory."""
        entropy = CountingEntropy(self._clock)
        return SqliteStore.open(
            self._path, clock=self._clock, entropy=entropy, waiting_max=waiting_max or WAITING_JOBS_MAX
        )

    async def open_copy(self, path: Path) -> Store:
        """Open the copied file."""
        return SqliteStore.open(str(path), clock=self._clock, entropy=CountingEntropy(self._clock))

    async def damage(self, store: Store, statement: str, *values: object) -> None:
        """Run the statement on the store's own connection: in memory there is no other."""
        assert isinstance(store, SqliteStore)
        await store._write(lambda db, _: db.execute(statement, values).fetchall())


class PostgresEngine:
    """PostgreSQL, in a schema that holds no job.

    Args:
        url: The server.
        schema: The schema, as ``migrate`` leaves it.
        through: The same server as the stores reach it, such as through a pooler.
    """

    outlives_its_handle = True
    copies_itself = False

    def __init__(self, url: str, schema: str, clock: ManualClock, through: str | None = None) -> None:
        self._url = url
        self._through = through or url
        self._schema = schema
        self._clock = clock

    async def open(self, *, waiting_max: int | None = None) -> Store:
        """Open another pool on the schema."""
        from rota.store.postgres.store import PostgresStore

        return await PostgresStore.open(
            self._through, clock=self._clock, schema=self._schema, waiting_max=waiting_max or WAITING_JOBS_MAX
        )

    async def open_copy(self, path: Path) -> Store:
        """Fail: this engine makes no copies."""
        raise AssertionError(f"{path}: there is no copy to open")

    async def damage(self, store: Store, statement: str, *values: object) -> None:
        """Run the statement over a connection of its own."""
        import asyncpg

        connection = await asyncpg.connect(self._url)
        try:
            await connection.execute(f'SET search_path TO "{self._schema}"')
            for number in range(1, len(values) + 1):
                statement = statement.replace("?", f"${number}", 1)
            await connection.execute(
                statement, *[UUID(bytes=each) if isinstance(each, bytes) else each for each in values]
            )
        finally:
            await connection.close()
