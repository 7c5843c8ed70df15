"""Schemas that are made once and lent to one test after another: to make one costs more than most tests do.

    migrate ──▶ lent to a test ──▶ waits while others are lent ──▶ emptied, and found to be as it was made ──▶ lent again

One that a test has built on or taken from (a partition, a right) is not lent again: another is made. A function counts by what
it says, so a test may replace one, and put it back.
"""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

import psycopg

from rota.store.postgres.migrate import migrate
from rota.store.postgres.server import quoted
from scripts.postgres_server import run_apart
from tests.postgres_server import PostgresServer

_REST: Final = 3
"""How many others are lent before a schema is lent again: by then nothing that its last test began is still on its way."""

_BUILT: Final = """
SELECT array_agg(entry ORDER BY entry)
  FROM (SELECT format('relation %%s %%s %%s %%s %%s', oid, relname, relacl, reloptions, relnatts)
          FROM pg_class WHERE relnamespace = to_regnamespace(%(schema)s)
         UNION ALL
        SELECT 'function ' || md5((to_jsonb(p) - 'oid')::text)
          FROM pg_proc p WHERE pronamespace = to_regnamespace(%(schema)s)) e (entry)
"""
_RELATIONS: Final = """
SELECT relname FROM pg_class
 WHERE relnamespace = %(schema)s::regnamespace AND relkind = ANY(%(kinds)s) AND NOT relispartition
 ORDER BY oid
"""


@dataclass(frozen=True)
class _Made:
    """A schema, how it was built, and what empties it."""

    name: str
    built: list[str]
    empties: str


class Schemas:
    """The schemas of one server that this process lends.

    Args:
        server: The server.
        make: Makes a schema of this name at this address.
    """

    def __init__(self, server: PostgresServer, make: Callable[[str, str], Awaitable[object]] = migrate) -> None:
        self._server = server
        self._build = make
        self._look = psycopg.connect(server.url, autocommit=True, options="-c lock_timeout=5s")
        self._resting: deque[_Made] = deque()

    def lend(self) -> str:
        """Return a schema as ``migrate`` leaves it: no job, and every number begins anew."""
        made = self._emptied(self._resting.popleft()) if len(self._resting) > _REST else None
        made = made or self._make()
        self._resting.append(made)
        return made.name

    def _make(self) -> _Made:
        name = self._server.fresh_schema()
        run_apart(self._made(name))
        tables, sequences = self._names_in(name, "r", "p"), self._names_in(name, "S")
        # One that refers to another was made after it.
        says = [f"DELETE FROM {table}" for table in reversed(tables)]
        for table in tables:
            rows = self._ask(f"SELECT quote_literal(json_agg(t)) FROM {table} t")[0]
            if rows is not None:
                says.append(f"INSERT INTO {table} SELECT * FROM json_populate_recordset(NULL::{table}, {rows})")
        for sequence in sequences:
            value, is_called = self._ask(f"SELECT last_value, is_called FROM {sequence}")
            says.append(f"SELECT setval('{sequence}', {value}, {is_called})")
        return _Made(name, self._built(name), f"BEGIN; {'; '.join(says)}; COMMIT")

    async def _made(self, name: str) -> None:
        await self._build(self._server.url, name)

    def _emptied(self, made: _Made) -> _Made | None:
        """Return it empty, or nothing if it is not what it was, or somebody is still at work in it."""
        if self._built(made.name) != made.built:
            return None
        try:
            self._look.execute(made.empties.encode())
        except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected):
            self._look.execute("ROLLBACK")
            return None
        return made

    def _built(self, name: str) -> list[str]:
        built: list[str] = self._ask(_BUILT, schema=quoted(name))[0]
        return built

    def _names_in(self, name: str, *kinds: str) -> list[str]:
        found = self._look.execute(_RELATIONS, {"schema": quoted(name), "kinds": list(kinds)})
        return [f"{quoted(name)}.{quoted(relation)}" for (relation,) in found]

    def _ask(self, statement: str, **values: object) -> tuple[Any, ...]:
        row = self._look.execute(statement.encode(), values or None).fetchone()
        assert row is not None
        return row


@functools.cache
def schemas_of(server: PostgresServer) -> Schemas:
    """Return the schemas of a server that is there until this process ends."""
    return Schemas(server)


def empty_schema(server: PostgresServer) -> str:
    """Return a schema of a server that is there until this process ends, as ``migrate`` leaves one. It is not to be dropped."""
    return schemas_of(server).lend()
