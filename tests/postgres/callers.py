"""Callers with a connection of their own: every kind of connection that a job can be submitted through, behind the same words.

customer = await KINDS["psycopg"].arrives(url)
await customer.begins() ──▶ customer.submits(bake, order) ──▶ customer.commits()
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar, Self

import asyncpg
import psycopg
import sqlalchemy
import sqlalchemy.ext.asyncio
import sqlalchemy.orm

from rota import Token


class Customer:
    """Somebody with a connection; subclasses say how it is used.

    Attributes:
        given: What goes into ``options(connection=…)``.
    """

    given: Any

    @classmethod
    async def arrives(cls, url: str) -> Self:
        """Return a customer who is connected."""
        customer = cls()
        await customer.connects(url)
        return customer

    async def connects(self, url: str) -> None:
        raise NotImplementedError

    async def begins(self) -> None:
        """Open a transaction; most kinds do it by themselves, with their first statement."""

    async def does(self, sql: str) -> Any:
        """Carry out a statement without arguments, and return its first value, if it has one."""
        raise NotImplementedError

    async def submits(self, task: Any, *args: Any, **options: Any) -> Token[Any]:
        token: Token[Any] = await task.options(connection=self.given, **options).submit_async(*args)
        return token

    async def submits_many(self, task: Any, calls: Iterable[Any], **options: Any) -> list[Token[Any]]:
        tokens: list[Token[Any]] = await task.options(connection=self.given, **options).submit_many_async(calls)
        return tokens

    async def commits(self) -> None:
        await self.given.commit()

    async def rolls_back(self) -> None:
        await self.given.rollback()

    async def leaves(self) -> None:
        await self.given.close()

    async def pid(self) -> int:
        """Return the number of the back end that serves this customer."""
        return int(await self.does("SELECT pg_backend_pid()"))


class _Plain(Customer):
    """One whose connection is not awaited."""

    async def submits(self, task: Any, *args: Any, **options: Any) -> Token[Any]:
        token: Token[Any] = task.options(connection=self.given, **options).submit(*args)
        return token

    async def submits_many(self, task: Any, calls: Iterable[Any], **options: Any) -> list[Token[Any]]:
        tokens: list[Token[Any]] = task.options(connection=self.given, **options).submit_many(calls)
        return tokens

    async def commits(self) -> None:
        self.given.commit()

    async def rolls_back(self) -> None:
        self.given.rollback()

    async def leaves(self) -> None:
        self.given.close()


class Asyncpg(Customer):
    async def connects(self, url: str) -> None:
        self.given = await asyncpg.connect(url)

    async def begins(self) -> None:
        self._transaction = self.given.transaction()
        await self._transaction.start()

    async def does(self, sql: str) -> Any:
        return await self.given.fetchval(sql)

    async def commits(self) -> None:
        await self._transaction.commit()

    async def rolls_back(self) -> None:
        await self._transaction.rollback()


class AsyncpgPool(Asyncpg):
    async def connects(self, url: str) -> None:
        self._pool = await asyncpg.create_pool(url, min_size=1, max_size=1)
        self.given = await self._pool.acquire()

    async def leaves(self) -> None:
        await self._pool.release(self.given)
        await self._pool.close()


class Psycopg(_Plain):
    async def connects(self, url: str) -> None:
        # Rows as the application wants them are not as we want them.
        self.given = psycopg.connect(url, row_factory=psycopg.rows.dict_row, cursor_factory=psycopg.ClientCursor)

    async def does(self, sql: str) -> Any:
        cursor = self.given.execute(sql)
        row = cursor.fetchone() if cursor.description else None
        return next(iter(row.values())) if row else None


class PsycopgAsync(Customer):
    async def connects(self, url: str) -> None:
        self.given = await psycopg.AsyncConnection.connect(url)

    async def does(self, sql: str) -> Any:
        cursor = await self.given.execute(sql)
        row = await cursor.fetchone() if cursor.description else None
        return row[0] if row else None


class Sqlalchemy(_Plain):
    async def connects(self, url: str) -> None:
        self._engine = sqlalchemy.create_engine(_url(url, "psycopg"))
        self.given = self._given()

    def _given(self) -> Any:
        return self._engine.connect()

    async def does(self, sql: str) -> Any:
        result = self.given.execute(sqlalchemy.text(sql))
        return result.scalar() if result.returns_rows else None

    async def leaves(self) -> None:
        self.given.close()
        self._engine.dispose()


class SqlalchemySession(Sqlalchemy):
    def _given(self) -> Any:
        return sqlalchemy.orm.Session(self._engine)


class SqlalchemyAsync(Customer):
    driver: ClassVar = "asyncpg"

    async def connects(self, url: str) -> None:
        self._engine = sqlalchemy.ext.asyncio.create_async_engine(_url(url, self.driver))
        self.given = await self._given()

    async def _given(self) -> Any:
        return await self._engine.connect()

    async def does(self, sql: str) -> Any:
        result = await self.given.execute(sqlalchemy.text(sql))
        return result.scalar() if result.returns_rows else None

    async def leaves(self) -> None:
        await self.given.close()
        await self._engine.dispose()


class SqlalchemyAsyncSession(SqlalchemyAsync):
    async def _given(self) -> Any:
        return sqlalchemy.ext.asyncio.AsyncSession(self._engine)


class SqlalchemyAsyncPsycopg(SqlalchemyAsync):
    driver: ClassVar = "psycopg"


KINDS: dict[str, type[Customer]] = {
    "asyncpg": Asyncpg,
    "asyncpg pool": AsyncpgPool,
    "psycopg": Psycopg,
    "psycopg async": PsycopgAsync,
    "sqlalchemy": Sqlalchemy,
    "sqlalchemy session": SqlalchemySession,
    "sqlalchemy async": SqlalchemyAsync,
    "sqlalchemy async session": SqlalchemyAsyncSession,
    "sqlalchemy async on psycopg": SqlalchemyAsyncPsycopg,
}


def _url(url: str, driver: str) -> str:
    return url.replace("postgresql://", f"postgresql+{driver}://", 1)
