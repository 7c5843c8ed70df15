"""docs/transactions.md is run as it stands: nobody copies an example that does not work."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg
import psycopg
import pytest
import sqlalchemy.orm
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from rota import Rota
from rota.store.postgres.migrate import migrate
from tests.house.tree import ROOT
from tests.postgres_server import PostgresServer

pytestmark = pytest.mark.postgres

PAGE = ROOT / "docs" / "transactions.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


@dataclass
class Order:
    store: str
    pizza: str


class Base(sqlalchemy.orm.DeclarativeBase):
    pass


class Row(Base):
    __tablename__ = "orders"
    id: sqlalchemy.orm.Mapped[int] = sqlalchemy.orm.mapped_column(primary_key=True)
    store: sqlalchemy.orm.Mapped[str]
    pizza: sqlalchemy.orm.Mapped[str]


def bake(order: Order) -> None: ...


def blocks(language: str) -> list[str]:
    """Return the page's examples in one language, in order."""
    found = [text for written_in, text in BLOCK.findall(PAGE.read_text()) if written_in == language]
    assert found, f"{PAGE.name} has no example in {language}"
    return found


@asynccontextmanager
async def shop(server: PostgresServer) -> AsyncIterator[tuple[str, asyncpg.Connection, dict[str, Any]]]:
    """The shop that the page speaks of: a table of orders, and the store in the schema of its default name."""
    owner = await asyncpg.connect(server.url)
    await owner.execute("CREATE DATABASE shop_of_the_page")
    url = server.url.rpartition("/")[0] + "/shop_of_the_page"
    await migrate(url)
    app = Rota(url)
    task = app.task(key=lambda order: order.store)(bake)
    look = await asyncpg.connect(url)
    await look.execute(
        "CREATE TABLE orders (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, store text, pizza text)"
    )
    try:
        yield url, look, {"bake": task, "psycopg": psycopg, "AsyncSession": AsyncSession, "Row": Row}
    finally:
        await look.close()
        await app.close_async()
        app.close()
        await owner.execute("DROP DATABASE shop_of_the_page (FORCE)")
        await owner.close()


async def test_the_examples_of_the_page_work(server: PostgresServer) -> None:
    """In Python with each kind of connection, and in SQL; a job for each order, in the same slot."""
    async with shop(server) as (url, look, names):
        for block in blocks("python"):
            exec(block, names)
        async with asyncpg.create_pool(url, min_size=1, max_size=1) as pool:
            await names["place"](pool, Order("mitte", "a"))
        names["place_plainly"](url, Order("mitte", "b"))
        engine = create_async_engine(url.replace("postgresql://", "postgresql+asyncpg://", 1))
        await names["place_by_session"](engine, Order("mitte", "c"))
        await engine.dispose()
        submit, trigger = blocks("sql")
        await look.fetch(submit)
        await look.execute(trigger)
        await look.execute("INSERT INTO orders (store, pizza) VALUES ('mitte', 'd')")

        jobs = await look.fetch("SELECT payload, slot, key FROM rota.live ORDER BY seq")
        assert [json.loads(job["payload"])["order"]["pizza"] for job in jobs] == ["a", "b", "c", "funghi", "d"]
        assert {(job["slot"], job["key"]) for job in jobs} == {(jobs[0]["slot"], "mitte")}
        assert await look.fetchval("SELECT string_agg(pizza, '' ORDER BY id) FROM orders") == "abcd"
        await look.execute(_inline("UPDATE rota.house"))
        await look.execute(_inline("SELECT rota.intern_names"))
        await look.execute(f"BEGIN; CREATE ROLE clerk; {_inline('GRANT USAGE')}; ROLLBACK")


def _inline(beginning: str) -> str:
    """Return the statement on the page, in running text, that begins like this."""
    (found,) = re.findall(rf"`({re.escape(beginning)}[^`]*)`", PAGE.read_text())
    return str(found)
