"""What must not pass: each line says in its comment which errors it must get, and no other line may get any."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import rota
from rota import Retry, Rota, Token
from rota.testing import assert_submitted, run_until_idle, submitted, temporary_store

app = Rota("shop.db")


@dataclass
class Order:
    store: str
    pizza: str


@app.task(key=lambda order: order.store)
def bake(order: Order) -> str:
    return order.pizza


@app.task
async def deliver(order: Order, *, tip: int = 0) -> int:
    return tip


@app.task
def ship(order: Order, address: str) -> int:
    return 1


order = Order("mitte", "funghi")

bake.submit("mitte")  # expect: arg-type
bake.submit()  # expect: call-arg
bake.submit(order, order)  # expect: call-arg
bake.submit(ordr=order)  # expect: call-arg
deliver.submit(order, tip="much")  # expect: arg-type
deliver.submit(order, 3)  # expect: call-arg
bake.options(priority=5).submit("mitte")  # expect: arg-type

number: int = bake.submit(order).result()  # expect: assignment
text: str = deliver.submit(order).result()  # expect: assignment
text = deliver(order)  # expect: assignment
token: Token[int] = bake.submit(order)  # expect: assignment

bake.submit_many(["mitte"])  # expect: list-item
ship.submit_many([bake.call(order)])  # expect: list-item
ship.submit_many([order])  # expect: list-item
ship.call(order)  # expect: call-arg

bake.options(delay="soon")  # expect: arg-type
bake.options(prio=5)  # expect: call-arg
bake.options(retry=5)  # expect: arg-type
bake.options(connection="postgresql://")  # expect: arg-type
bake.options(at="tomorrow")  # expect: arg-type
bake.options(key=5)  # expect: arg-type
bake.options(token=5)  # expect: arg-type
bake.enqueue(order)  # expect: attr-defined
rota.Rotta("shop.db")  # expect: attr-defined


@app.task(retry=3)  # expect: call-overload untyped-decorator
def wrong_retry() -> None: ...


@app.task(time_limit=timedelta(seconds=1))  # expect: call-overload untyped-decorator
def wrong_option() -> None: ...


@app.task(key=lambda: 5)  # expect: arg-type return-value
def wrong_key() -> None: ...


async def awaited() -> None:
    wrong: int = await bake.submit(order)  # expect: assignment
    wrong = await (await bake.submit_async(order)).result_async()  # expect: assignment
    await bake.submit_async(wrong)  # expect: arg-type


Retry(attempts="many")  # expect: arg-type
Retry(5)  # expect: arg-type
bake.submit(order).result(timeout="soon")  # expect: arg-type
app.token(5)  # expect: arg-type
bake("mitte")  # expect: arg-type

assert_submitted(bake, "mitte")  # expect: arg-type
assert_submitted(deliver, order, 3)  # expect: call-arg
submitted(app, bake.options(delay=1))  # expect: arg-type
temporary_store(bake)  # expect: arg-type
run_until_idle("shop:app")  # expect: arg-type
