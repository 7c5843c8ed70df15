"""What must pass a type checker: every line is what a user would write."""

from __future__ import annotations

from collections.abc import Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, assert_type

import asyncpg
import psycopg
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession
from sqlalchemy.orm import Session

from rota import Call, JobInfo, Retry, Rota, Snooze, State, Task, Token, current_job
from rota.testing import (
    ManualClock,
    assert_not_submitted,
    assert_submitted,
    run_until_idle,
    run_until_idle_async,
    submitted,
    temporary_store,
)

app = Rota("shop.db")


@dataclass
class Order:
    store: str
    pizza: str


@app.task(key=lambda order: order.store, retry=Retry(attempts=5), timeout=timedelta(minutes=2))
def bake(order: Order) -> str:
    return f"{order.pizza} for {order.store}"


@app.task
def clean(room: str, *, soap: bool = True) -> None:
    """Take a task without options."""


@app.task()
async def deliver(order: Order, tip: int = 0) -> int | Snooze:
    return Snooze(timedelta(minutes=1)) if tip < 0 else current_job().attempt


@app.task(queue="nights", priority=-5, name="close.up")
def close_up() -> list[Order]:
    return []


@app.task
def ship(order: Order, address: str) -> datetime:
    return datetime.now(UTC)


def plain_calls(order: Order) -> None:
    assert_type(bake(order), str)
    assert_type((deliver(order),), tuple[Coroutine[Any, Any, int | Snooze]])
    clean("hall", soap=False)


def submits(order: Order) -> None:
    assert_type(bake.submit(order), Token[str])
    assert_type(bake.submit(order=order), Token[str])
    assert_type(deliver.submit(order, tip=2), Token[int | Snooze])
    assert_type(close_up.submit(), Token[list[Order]])
    assert_type(clean.submit("hall"), Token[None])


def results(token: Token[str]) -> None:
    assert_type(token.result(), str)
    assert_type(token.result(timeout=10), str)
    assert_type(token.result(timedelta(seconds=3)), str)
    assert_type(token.status(), State)
    assert_type(token.info(), JobInfo)
    assert_type(token.cancel(), bool)
    assert_type(token.retry(), bool)
    assert_type(app.states([token, str(token)]), list[State | None])
    assert_type(app.token(str(token)), Token[Any])


async def twins(order: Order) -> None:
    token = await bake.submit_async(order)
    assert_type(token, Token[str])
    assert_type(await token, str)
    assert_type(await token.result_async(timeout=3), str)
    assert_type(await token.status_async(), State)
    assert_type(await token.info_async(), JobInfo)
    assert_type(await token.cancel_async(), bool)
    assert_type(await token.retry_async(), bool)
    assert_type(await app.states_async([token]), list[State | None])
    assert_type(await bake.submit_many_async([order]), list[Token[str]])
    await app.close_async()


def batches(order: Order) -> None:
    assert_type(bake.submit_many([order, order]), list[Token[str]])
    assert_type(bake.submit_many(order for _ in range(3)), list[Token[str]])
    assert_type(deliver.submit_many([order]), list[Token[int | Snooze]])
    assert_type(ship.call(order, address="hall"), Call[[Order, str]])  # type: ignore[assert-type]
    assert_type(ship.submit_many([ship.call(order, "a"), ship.call(order, address="b")]), list[Token[datetime]])
    assert_type(close_up.submit_many([close_up.call()]), list[Token[list[Order]]])


def with_options(order: Order) -> None:
    later = bake.options(delay=timedelta(hours=1), priority=5)
    assert_type(later.submit(order), Token[str])
    assert_type(later.submit_many([order]), list[Token[str]])
    bake.options(at=datetime.now(UTC), key=None, queue="nights").submit(order)
    bake.options(token="0198c2f1-7b3a-7cc0-8000-3d2f5e6a7b8c", timeout=None).submit(order)
    bake.options(retry=Retry(attempts=2), expires=timedelta(days=1)).submit(order=order)


def in_ones_own_transaction(connection: psycopg.Connection[Any], session: Session, order: Order) -> None:
    assert_type(bake.options(connection=connection).submit(order), Token[str])
    assert_type(bake.options(connection=session).submit_many([order]), list[Token[str]])


async def in_ones_own_transaction_async(
    connection: asyncpg.Connection,
    other: psycopg.AsyncConnection[Any],
    session: AsyncSession | AsyncConnection | None,
    order: Order,
) -> None:
    assert_type(await bake.options(connection=connection).submit_async(order), Token[str])
    await bake.options(connection=other).submit_async(order)
    await bake.options(connection=session).submit_many_async([order])


async def in_ones_own_tests(order: Order) -> None:
    with temporary_store(app, start=datetime(2030, 2, 28, tzinfo=UTC)) as clock:
        assert_type(clock, ManualClock)
        clock.advance(timedelta(hours=1))
        run_until_idle(app, concurrency=1)
        await run_until_idle_async(app)
        assert_type(assert_submitted(deliver, order, tip=3), JobInfo)
        assert_type(submitted(app, bake), list[JobInfo])
        assert_not_submitted(clean)


def any_task(task: Task[[Order], str], order: Order) -> str:
    return task.submit(order).result()


any_task(bake, Order("mitte", "funghi"))
