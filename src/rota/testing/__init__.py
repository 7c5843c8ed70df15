"""For tests of your own tasks: a store in memory, a clock that you move, and a worker in your own process.

from rota.testing import assert_submitted, run_until_idle, temporary_store

def test_an_order_is_baked_an_hour_later() -> None:
    with temporary_store(app) as clock:
        token = bake.options(delay=timedelta(hours=1)).submit(Order("mitte", "funghi"))
        assert_submitted(bake, Order("mitte", "funghi"))

        clock.advance(timedelta(hours=1))
        run_until_idle(app)

        assert token.result() == "funghi for mitte"
"""

from rota.testing.clock import ManualClock
from rota.testing.shelf import temporary_store
from rota.testing.submitted import assert_not_submitted, assert_submitted, submitted
from rota.testing.work import run_until_idle, run_until_idle_async

__all__ = [
    "ManualClock",
    "assert_not_submitted",
    "assert_submitted",
    "run_until_idle",
    "run_until_idle_async",
    "submitted",
    "temporary_store",
]
