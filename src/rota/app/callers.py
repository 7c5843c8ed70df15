"""A caller's own connection to PostgreSQL: which kinds there are, and how one statement is said on each.

    asyncpg      Connection, and what a pool lends                        await
    psycopg 3    AsyncConnection                                          await      Connection            plain
    SQLAlchemy   AsyncConnection, AsyncSession (on asyncpg or psycopg)    await      Connection, Session   plain (on psycopg)

No driver is imported here: whoever has a connection has imported its driver. SQLAlchemy's are asked through SQLAlchemy and not
behind its back: it begins its transaction with the first statement that it sees, and what it has not begun it does not commit.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

from rota.errors import UnfitConnectionError

if TYPE_CHECKING:
    import psycopg
    import sqlalchemy.ext.asyncio
    import sqlalchemy.orm

    from rota.store.postgres.foreign import Statement


class AsyncpgConnection(Protocol):
    """What is asked of an asyncpg connection, or of what a pool of them lends: the driver itself has no types."""

    def is_in_transaction(self) -> bool:
        """Whether a transaction is open."""
        ...

    def is_closed(self) -> bool:
        """Whether it is closed."""
        ...

    def get_server_pid(self) -> int:
        """Return the process that serves it."""
        ...


CallersConnection: TypeAlias = (
    "AsyncpgConnection | psycopg.Connection[Any] | psycopg.AsyncConnection[Any]"
    " | sqlalchemy.Connection | sqlalchemy.orm.Session | sqlalchemy.orm.scoped_session[Any]"
    " | sqlalchemy.ext.asyncio.AsyncConnection | sqlalchemy.ext.asyncio.AsyncSession"
    " | sqlalchemy.ext.asyncio.async_scoped_session[Any]"
)
"""What ``options(connection=…)`` takes."""

_ACCEPTED: Final = (
    "Accepted are an asyncpg Connection (for submit_async), a psycopg 3 Connection (for submit) or AsyncConnection (for "
    "submit_async), and SQLAlchemy's Connection and Session on psycopg, or AsyncConnection and AsyncSession on asyncpg or "
    "psycopg"
)
_DRIVERS: Final = ("psycopg", "psycopg_async", "asyncpg")


class Line(Protocol):
    """A connection that is ready to be asked.

    Attributes:
        driver: The driver's own connection, which stays the same whatever wraps it.
        commits_at_once: No transaction is open, nor will the next statement begin one.
    """

    driver: Any
    commits_at_once: bool

    @property
    def is_closed(self) -> bool:
        """Whether the connection has ended, as far as the driver has noticed."""
        ...


class BlockingLine(Line, Protocol):
    """One that is asked by plain code."""

    def ask(self, statement: Statement) -> Sequence[Any]:
        """Return the one row that the statement returns."""
        ...


class AwaitedLine(Line, Protocol):
    """One that is asked by async code."""

    async def ask(self, statement: Statement) -> Sequence[Any]:
        """Return the one row that the statement returns."""
        ...


class Caller:
    """A connection as a caller handed it in.

    Args:
        given: The connection.

    Attributes:
        kind: What it is, for people.
        is_async: Whether it must be awaited.

    Raises:
        UnfitConnectionError: It is nothing of which we know how to ask it.
    """

    def __init__(self, given: Any) -> None:
        self._given = given
        found = _kind_of(given)
        if found is None:
            name = f"{type(given).__module__.partition('.')[0]} {type(given).__qualname__}".removeprefix("builtins ")
            raise UnfitConnectionError(
                f"connection= is of type {name}, through which no job can be submitted.{_hint(given)} "
                f"Nothing was written. {_ACCEPTED}.",
                kind=name,
            )
        self.kind, self.is_async, self._line = found

    def line(self) -> BlockingLine:
        """Return it ready to be asked, for a kind that is not awaited."""
        line: BlockingLine = self._line(self._given)
        return line

    async def line_async(self) -> AwaitedLine:
        """Return it ready to be asked, for a kind that is awaited."""
        line: AwaitedLine = await self._line.of(self._given)
        return line


class _Driven:
    """What all lines have in common."""

    driver: Any
    commits_at_once: bool

    @property
    def is_closed(self) -> bool:
        ask = getattr(self.driver, "is_closed", None)
        return bool(self.driver.closed if ask is None else ask())


class _AsyncpgLine(_Driven):
    def __init__(self, given: Any) -> None:
        self._given = given
        # What a pool lends is made anew for each loan; behind it is the connection.
        self.driver = getattr(given, "_con", given)
        self.commits_at_once = not given.is_in_transaction()

    @classmethod
    async def of(cls, given: Any) -> _AsyncpgLine:
        return cls(given)

    async def ask(self, statement: Statement) -> Sequence[Any]:
        row: Sequence[Any] = await self._given.fetchrow(statement.numbered, *statement.arguments)
        return row


class _PsycopgLine(_Driven):
    def __init__(self, given: Any) -> None:
        self.driver = given
        self.commits_at_once = _commits_at_once(given)

    def ask(self, statement: Statement) -> Sequence[Any]:
        # Not by given.cursor(), whose rows and whose ways are the caller's choice.
        psycopg = sys.modules["psycopg"]
        with psycopg.Cursor(self.driver, row_factory=psycopg.rows.tuple_row) as cursor:
            row: Sequence[Any] = cursor.execute(statement.marked, statement.arguments).fetchone()
        return row


class _AsyncPsycopgLine(_PsycopgLine):
    @classmethod
    async def of(cls, given: Any) -> _AsyncPsycopgLine:
        return cls(given)

    async def ask(self, statement: Statement) -> Sequence[Any]:  # type: ignore[override]
        psycopg = sys.modules["psycopg"]
        async with psycopg.AsyncCursor(self.driver, row_factory=psycopg.rows.tuple_row) as cursor:
            await cursor.execute(statement.marked, statement.arguments)
            row: Sequence[Any] = await cursor.fetchone()
        return row


class _SqlalchemyLine(_Driven):
    def __init__(self, given: Any) -> None:
        self._connection = given if hasattr(given, "exec_driver_sql") else given.connection()
        self._is_numbered = _is_numbered(self._connection.dialect)
        self._note(self._connection.connection)

    def ask(self, statement: Statement) -> Sequence[Any]:
        row: Sequence[Any] = self._connection.exec_driver_sql(*self._said(statement), **_PLAIN).fetchone()
        return row

    def _note(self, fairy: Any) -> None:
        self.driver = fairy.driver_connection
        self.commits_at_once = bool(getattr(fairy.dbapi_connection, "autocommit", False))

    def _said(self, statement: Statement) -> tuple[str, tuple[Any, ...]]:
        return (statement.numbered if self._is_numbered else statement.marked), statement.arguments


class _AsyncSqlalchemyLine(_SqlalchemyLine):
    def __init__(self, connection: Any, fairy: Any) -> None:
        self._connection = connection
        self._is_numbered = _is_numbered(connection.dialect)
        self._note(fairy)

    @classmethod
    async def of(cls, given: Any) -> _AsyncSqlalchemyLine:
        connection = given if hasattr(given, "exec_driver_sql") else await given.connection()
        return cls(connection, await connection.get_raw_connection())

    async def ask(self, statement: Statement) -> Sequence[Any]:  # type: ignore[override]
        row: Sequence[Any] = (await self._connection.exec_driver_sql(*self._said(statement), **_PLAIN)).fetchone()
        return row


_PLAIN: Final = {"execution_options": {"stream_results": False}}
"""Whatever the connection is set to: a cursor at the server would carry the statement out when its row is fetched."""

_KINDS: Final[tuple[tuple[str, tuple[str, ...], bool, Any], ...]] = (
    ("asyncpg", ("Connection",), True, _AsyncpgLine),
    ("psycopg", ("Connection",), False, _PsycopgLine),
    ("psycopg", ("AsyncConnection",), True, _AsyncPsycopgLine),
    ("sqlalchemy", ("Connection",), False, _SqlalchemyLine),
    ("sqlalchemy.orm", ("Session", "scoped_session"), False, _SqlalchemyLine),
    (
        "sqlalchemy.ext.asyncio",
        ("AsyncConnection", "AsyncSession", "async_scoped_session"),
        True,
        _AsyncSqlalchemyLine,
    ),
)
"""Module, names in it, whether they are awaited, and how they are asked."""

_HINTS: Final = (
    ("asyncpg", ("Pool",), " It is a pool: give what `async with pool.acquire()` lends."),
    ("psycopg_pool", ("ConnectionPool", "AsyncConnectionPool"), " It is a pool: give what `pool.connection()` lends."),
    ("sqlalchemy", ("Engine",), " It is an engine: give what `engine.begin()` lends."),
    ("sqlalchemy.ext.asyncio", ("AsyncEngine",), " It is an engine: give what `engine.begin()` lends."),
    ("sqlalchemy.orm", ("sessionmaker",), " It makes sessions: give one of them."),
    ("sqlalchemy.ext.asyncio", ("async_sessionmaker",), " It makes sessions: give one of them."),
    ("psycopg", ("Cursor", "AsyncCursor"), " It is a cursor: give its `.connection`."),
    (
        "sqlalchemy",
        ("PoolProxiedConnection",),
        " It is a raw connection: give the Connection or Session that it is of; on psycopg its `.driver_connection` will do.",
    ),
)


def _kind_of(given: Any) -> tuple[str, bool, Any] | None:
    for module, names, is_async, line in _KINDS:
        for name in names:
            if _is_a(given, module, name):
                return f"{module.partition('.')[0]} {type(given).__name__}", is_async, line
    return None


def _is_a(given: Any, module: str, name: str) -> bool:
    kind = getattr(sys.modules.get(module), name, None)
    return isinstance(kind, type) and isinstance(given, kind)


def _hint(given: Any) -> str:
    for module, names, hint in _HINTS:
        if any(_is_a(given, module, name) for name in names):
            return hint
    return ""


def _commits_at_once(given: Any) -> bool:
    status = sys.modules["psycopg"].pq.TransactionStatus
    return bool(given.autocommit) and given.info.transaction_status in (status.IDLE, status.UNKNOWN)


def _is_numbered(dialect: Any) -> bool:
    """Whether a dialect of SQLAlchemy numbers the places of a statement.

    Raises:
        UnfitConnectionError: It is not PostgreSQL's, or one of a driver that cannot be asked.
    """
    if dialect.name == "postgresql" and dialect.driver in _DRIVERS:
        return bool(dialect.driver == "asyncpg")
    raise UnfitConnectionError(
        f"connection= is SQLAlchemy's on {dialect.name}+{dialect.driver}, through which no job can be submitted. Nothing was "
        f"written. {_ACCEPTED}.",
        kind=f"{dialect.name}+{dialect.driver}",
    )
