"""The orchestrator: it works only while the house is its own, each duty at its time, and none ends the others."""

from __future__ import annotations

from typing import Any

import pytest

from rota.errors import StoreBrokenError, StoreBusyError
from rota.orchestrator.orchestrator import Orchestrator
from rota.runtime.entropy import SystemEntropy
from rota.telemetry.telemetry import Telemetry
from rota.testing.clock import ManualClock


class House:
    """Says who has the house, or that it cannot say."""

    def __init__(self) -> None:
        self.holder: int | None = 1
        self.is_broken = False

    async def take_house(self, node_id: int) -> int:
        if self.is_broken:
            raise StoreBrokenError("disk I/O error")
        if self.holder is None:
            raise StoreBusyError("locked")
        return self.holder


class Duty:
    name = "tidy"
    period_s = 60.0

    def __init__(self, *, fails: bool = False) -> None:
        self.done = 0
        self._fails = fails

    async def do(self) -> None:
        self.done += 1
        if self._fails:
            raise StoreBusyError("locked")


@pytest.fixture
def house() -> House:
    return House()


def orchestrator_of(house: House, clock: ManualClock, *duties: Duty, told: Telemetry | None = None) -> Orchestrator:
    store: Any = house
    return Orchestrator(
        store, 1, "mitte", duties, clock=clock, entropy=SystemEntropy(clock), telemetry=told or Telemetry()
    )


async def test_a_duty_is_done_once_a_period(house: House, clock: ManualClock) -> None:
    """However often the orchestrator looks."""
    duty = Duty()
    orchestrator = orchestrator_of(house, clock, duty)

    for _ in range(75):
        clock.advance(2)
        await orchestrator.step()

    assert duty.done == 3


async def test_without_the_house_nothing_is_done(house: House, clock: ManualClock) -> None:
    """One hand for all, and this is not it; when the holder is gone, it is."""
    duty = Duty()
    orchestrator = orchestrator_of(house, clock, duty)
    house.holder = 2
    clock.advance(600)
    await orchestrator.step()
    assert duty.done == 0

    house.holder = 1
    await orchestrator.step()

    assert duty.done == 1


async def test_while_nobody_can_say_who_has_it_nothing_is_done(house: House, clock: ManualClock) -> None:
    """Duties can wait; the store will be back."""
    duty, told = Duty(), Telemetry()
    orchestrator = orchestrator_of(house, clock, duty, told=told)
    house.holder = None
    clock.advance(600)

    await orchestrator.step()

    assert duty.done == 0
    assert told.counters["duty.failed"] == 1


async def test_a_failing_duty_stops_neither_the_others_nor_itself(house: House, clock: ManualClock) -> None:
    """It is told, and tried again when its time comes."""
    bad, good, told = Duty(fails=True), Duty(), Telemetry()
    orchestrator = orchestrator_of(house, clock, bad, good, told=told)

    for _ in range(2):
        clock.advance(120)
        await orchestrator.step()

    assert (bad.done, good.done) == (2, 2)
    assert told.counters["duty.failed"] == 2


async def test_a_change_of_hands_is_told_once(house: House, clock: ManualClock) -> None:
    """Who keeps the house is worth a line, not one every two seconds."""
    lines: list[tuple[str, dict[str, object]]] = []
    told = Telemetry([lambda name, fields: lines.append((name, dict(fields)))])
    orchestrator = orchestrator_of(house, clock, told=told)

    for holder in (1, 1, 2, 2, 1):
        house.holder = holder
        await orchestrator.step()

    ours = ("orchestrator.elected", {"node": "mitte", "incarnation": 1})
    assert lines == [ours, ("orchestrator.changed", {"node": "mitte", "holder": 2}), ours]


async def test_a_disk_that_has_failed_is_told_apart_from_a_store_that_is_busy(house: House, clock: ManualClock) -> None:
    """Waiting helps with the one; with the other only a new process does, and the supervisor must come to know."""
    orchestrator = orchestrator_of(house, clock)
    house.holder = None
    await orchestrator.step()
    assert not orchestrator.broken.is_set()

    house.is_broken = True
    await orchestrator.step()

    assert orchestrator.broken.is_set()
