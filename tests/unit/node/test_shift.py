"""When a node may be without its timer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from rota.node.shift import Shifts
from rota.runtime.entropy import SystemEntropy
from rota.telemetry.telemetry import Telemetry
from rota.testing.clock import ManualClock
from tests.unit.node.waiting import PATIENCE_S


class Surroundings:
    """A lease, a crew and their processes; notes what happens, in order."""

    node = "mitte"

    def __init__(self) -> None:
        self.told: list[str] = []
        self.is_good = asyncio.Event()
        self.has_lapsed = asyncio.Event()
        self.are_reaped = asyncio.Event()
        self.waits_for_reap = asyncio.Event()

    async def good(self) -> None:
        await self.is_good.wait()

    async def lapsed(self) -> None:
        await self.has_lapsed.wait()

    def begin(self) -> bool:
        self.told.append("timer armed")
        self.is_good.clear()
        return True

    def end(self) -> None:
        self.told.append("timer disarmed")

    def end_now(self, why: str) -> None:
        del why
        self.told.append("workers killed")

    async def all_reaped(self) -> None:
        self.waits_for_reap.set()
        await self.are_reaped.wait()
        self.told.append("workers reaped")


def tend(name: str, work: Callable[[], Awaitable[None]]) -> asyncio.Task[None]:
    """Let a part of the node do nothing."""
    del work
    return asyncio.create_task(asyncio.sleep(0), name=name)


async def test_the_timer_stands_until_the_last_worker_has_been_reaped() -> None:
    """A SIGKILL on its way has killed nobody yet, and the kernel's timer may have to."""
    around: Any = Surroundings()
    shifts = Shifts(
        0,
        around,
        around,
        around,
        store=around,
        rescuer=around,
        entropy=SystemEntropy(ManualClock()),
        telemetry=Telemetry(),
        tend=tend,
    )
    running = asyncio.create_task(shifts.run())

    around.is_good.set()
    around.has_lapsed.set()
    await asyncio.wait_for(around.waits_for_reap.wait(), PATIENCE_S)
    before = list(around.told)
    around.are_reaped.set()
    while len(around.told) < 4:
        await asyncio.sleep(0)
    running.cancel()

    assert before == ["timer armed", "workers killed"]
    assert around.told == [*before, "workers reaped", "timer disarmed"]
