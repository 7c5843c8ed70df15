"""What a claim may do to the loop of a worker that is idle, and not to that of one at work."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from rota.store.port import Claim, Store
from tests.unit.worker.kitchen import Kitchen


async def test_a_loop_in_which_a_job_runs_is_not_kept_by_a_claim() -> None:
    """An idle worker's loop may do the claim itself; one that runs jobs must go on with them."""
    told: list[tuple[int, bool]] = []
    running, may_end = 0, asyncio.Event()

    async def bake() -> None:
        nonlocal running
        running += 1
        await may_end.wait()
        running -= 1

    kitchen = Kitchen.of(bake)

    class Listening:
        def __getattr__(self, name: str) -> Any:
            return getattr(kitchen.store, name)

        async def claim(self, *args: Any, is_loop_idle: bool = False, **named: Any) -> Claim:
            told.append((running, is_loop_idle))
            return await kitchen.store.claim(*args, is_loop_idle=is_loop_idle, **named)

    worker = await kitchen.worker(store=cast(Store, Listening()))
    working = asyncio.create_task(worker.run())
    first = await kitchen.submit(bake)
    await kitchen.until(lambda: running == 1)
    before = len(told)
    second = await kitchen.submit(bake)
    await kitchen.until(lambda: running == 2)
    may_end.set()
    await kitchen.until_settled([*first, *second])
    worker.drain()
    await working

    assert told[0] == (0, True)
    assert (1, False) in told[before:]
    assert not [is_idle for jobs, is_idle in told if jobs and is_idle]
