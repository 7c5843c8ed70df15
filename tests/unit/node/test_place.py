"""How long a place on the ring stays empty."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from rota.node.fenced import NotNowError
from rota.node.place import PUT_OFF_S, Place, wait_s
from rota.node.process import Ending
from rota.telemetry.telemetry import Telemetry
from rota.worker.order import DRAINED
from tests.unit.node.virtual import VirtualLoop


def test_a_worker_that_did_work_is_followed_soon() -> None:
    """Its death may be a job's doing, and other jobs need the place: never more than a second."""
    waits = [wait_s(deaths, has_registered=True) for deaths in range(12)]

    assert waits[:4] == [0, 0, 0, 0]
    assert waits == sorted(waits)
    assert waits[-1] == 1.0


def test_a_worker_that_cannot_start_is_followed_slowly() -> None:
    """A broken deployment must not eat a core."""
    waits = [wait_s(deaths, has_registered=False) for deaths in range(1, 10)]

    assert waits == [0, 0.5, 1, 2, 4, 8, 16, 30, 30]


class Crew:
    """Starts processes, unless none may be: so often, it says that none may."""

    def __init__(self, refusals: int, ending: asyncio.Event) -> None:
        self.tries = 0
        self._refusals = refusals
        self._ending = ending

    def start(self, name: str) -> Process:
        self.tries += 1
        if self.tries <= self._refusals:
            raise NotNowError("the lease is not good")
        self._ending.set()
        return Process()

    def dismiss(self, process: Process) -> None:
        """Do nothing."""


class Process:
    """A process that ends at once."""

    async def ended(self) -> Ending:
        return Ending(DRAINED, None, 0, 0.1)


class Rescuer:
    async def make_up_for(self, process: Process, ending: Ending, *, is_alone: bool) -> bool:
        return True


RESCUER: Any = Rescuer()


def test_a_start_that_is_put_off_is_no_crash() -> None:
    """The database is away: nothing is wrong with the worker, and it must not wait half a minute when it may start."""
    ending, told = asyncio.Event(), list[str]()
    crew: Any = Crew(5, ending)
    telemetry = Telemetry([lambda name, fields: told.append(f"{name} {fields.get('why')}")])
    place = Place("mitte/1", crew, RESCUER, telemetry, ending)
    loop = VirtualLoop()

    with contextlib.closing(loop):
        loop.run_until_complete(place.keep())

    assert crew.tries == 6
    assert told == ["worker.put_off the lease is not good"] * 5
    assert loop.now == 5 * PUT_OFF_S


def test_a_node_that_ends_waits_for_no_start_that_was_put_off() -> None:
    """Its lease has lapsed, which is what put the start off: the workers' time is over."""
    ending = asyncio.Event()
    crew: Any = Crew(1_000, ending)
    place = Place("mitte/1", crew, RESCUER, Telemetry(), ending)
    loop = VirtualLoop()
    loop.call_later(PUT_OFF_S / 2, ending.set)

    with contextlib.closing(loop):
        loop.run_until_complete(place.keep())

    assert (crew.tries, loop.now) == (1, PUT_OFF_S / 2)
