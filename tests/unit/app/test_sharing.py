"""One app in many hands: threads, event loops, forked children."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from rota import Rota, Token
from rota.runtime.clock import SystemClock
from rota.testing import ManualClock, run_until_idle_async, submitted, temporary_store
from tests.unit.app.pizzeria import Order, app, bake

MITTE = Order("mitte", "funghi")


@pytest.fixture(autouse=True)
def clock() -> Iterator[ManualClock]:
    """Every test has an empty store and a clock that stands still."""
    with temporary_store(app) as clock:
        yield clock


def test_threads_share_one_app() -> None:
    """A web server's workers submit at the same time."""
    tokens: list[Token[str]] = []

    def work() -> None:
        for _ in range(20):
            tokens.append(bake.submit(MITTE))  # noqa: PERF401 - one by one is the point

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(set(tokens)) == 80
    assert len(submitted(app, bake)) == 80


def test_event_loops_share_one_app() -> None:
    """One after the other, as tests and scripts do with asyncio.run."""

    async def work() -> Token[str]:
        token = await bake.submit_async(MITTE)
        await run_until_idle_async(app)
        await token
        return token

    assert asyncio.run(work()) != asyncio.run(work())


async def test_many_waiters_are_told(clock: ManualClock) -> None:
    """Each gets its own result, while the jobs are being done."""
    tokens = await bake.submit_many_async([Order(str(n), "funghi") for n in range(50)])
    waiting = [asyncio.ensure_future(token.result_async(timeout=30)) for token in tokens]

    await run_until_idle_async(app)

    assert await asyncio.gather(*waiting) == [f"funghi for {n}" for n in range(50)]
    await app.close_async()


def test_a_forked_child_opens_the_store_anew(tmp_path: Path) -> None:
    """A pre-forking web server imports the app, uses it, and forks."""
    shop = Rota(tmp_path / "shop.db", clock=SystemClock())
    task = shop.task(bake.__wrapped__)  # type: ignore[attr-defined]
    task.submit(MITTE)

    child = os.fork()
    if child == 0:
        try:
            task.submit(Order("nord", "child"))
            os._exit(0)
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    task.submit(MITTE)

    assert os.waitstatus_to_exitcode(status) == 0
    assert [job.key for job in submitted(shop)] == [None, None, None]
    shop.close()
