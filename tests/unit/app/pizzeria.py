"""An app as users write them: the tasks that the tests of the app submit."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from rota import Fail, Retry, Rota, Snooze, current_job

app = Rota(":memory:")


@dataclass
class Order:
    store: str
    pizza: str


@app.task(key=lambda order: order.store, retry=Retry(attempts=2, base=1, cap=1), timeout=timedelta(minutes=2))
def bake(order: Order) -> str:
    """Bake a pizza."""
    if order.pizza == "burnt":
        raise ValueError("too hot")
    if order.pizza == "pineapple":
        raise Fail("not here")
    return f"{order.pizza} for {order.store}"


@app.task
async def deliver(order: Order, *, tip: int = 0) -> Order | Snooze:
    """Take a pizza to its guest; in the snow it takes longer."""
    if order.store == "snow" and tip == 0:
        return Snooze(timedelta(minutes=1))
    return order


@app.task(queue="nights", priority=-5, name="close.up")
def close_up() -> None:
    """Close the shop."""


@app.task
async def open_up(pizzas: list[str]) -> list[str]:
    """Start the day: submit a job for each pizza, from inside of a job."""
    tokens = await bake.submit_many_async([Order("mitte", pizza) for pizza in pizzas])
    return [str(token) for token in tokens]


@app.task
def look() -> dict[str, int | str]:
    """Tell what a handler can know of its own job."""
    job = current_job()
    return {"attempt": job.attempt, "fence": job.fence, "task": job.task, "token": job.token}


@app.task
def pack(left: str, right: str, *, count: int = 1) -> str:
    """Pack two things into a box."""
    return f"{count}x{left}+{right}"
