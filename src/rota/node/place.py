"""A place of the node on the ring, taken by one worker process after another."""

from __future__ import annotations

import asyncio
import contextlib

from rota.node.crew import Crew
from rota.node.fenced import NotNowError
from rota.node.process import Ending
from rota.node.processes import Started
from rota.node.rescuer import Rescuer
from rota.telemetry.telemetry import Telemetry
from rota.worker.order import DRAINED, RECYCLE

CONFIG = 78
"""Exit code of a worker that cannot load the app: a person must mend something."""

PUT_OFF_S = 0.5
"""Before a start that was put off is tried again: by then the node's lease has lapsed, which ends this, or is good."""

_PROVED_S = 10.0
_FREE_STARTS = 3
_LONGEST_S = 30.0
_LONGEST_AFTER_WORK_S = 1.0


class Place:
    """Keeps one ring name, such as ``mitte/1``, taken.

    The successor is started at once: what a crash costs is one interpreter start. Only processes that die again and again
    are waited for. One that had registered and worked waits at most a second, since the death may be a job's doing, and
    other jobs need the place; one that never got that far waits up to 30 s.

    Args:
        name: The ring name.
        crew: Starts processes.
        rescuer: Gives back what a dead one held.
        telemetry: Who is told.
        ending: Set when the node is ending: nothing is started any more.
    """

    def __init__(self, name: str, crew: Crew, rescuer: Rescuer, telemetry: Telemetry, ending: asyncio.Event) -> None:
        self.name = name
        self.has_worked = False
        self.is_hopeless = asyncio.Event()
        self._crew = crew
        self._rescuer = rescuer
        self._telemetry = telemetry
        self._ending = ending

    async def keep(self) -> None:
        """Start processes, one after another, until the node is ending and the last of them is accounted for."""
        deaths = 0
        while not self._ending.is_set():
            try:
                process = self._start()
            except NotNowError as error:
                self._telemetry.emit("worker.put_off", worker=self.name, why=str(error))
                await self._pause(PUT_OFF_S)
                continue
            if process is None:
                deaths += 1
                await self._wait(wait_s(deaths, has_registered=False), deaths)
                continue
            ending, has_registered = await self._see_out(process)
            self.has_worked = self.has_worked or has_registered
            if ending.code == CONFIG and not self.has_worked:
                self.is_hopeless.set()
            deaths = deaths + 1 if _counts(ending) else 0
            await self._wait(wait_s(deaths, has_registered=has_registered), deaths)

    async def _see_out(self, process: Started) -> tuple[Ending, bool]:
        """Wait for the process's end and close its row; return whether it had registered.

        Dismissed whatever happens: what goes wrong here is put right by the watch, once nobody answers for the process.
        """
        try:
            ending = await process.ended()
            return ending, await self._rescuer.make_up_for(process, ending, is_alone=False)
        finally:
            self._crew.dismiss(process)

    def _start(self) -> Started | None:
        try:
            return self._crew.start(self.name)
        except OSError as error:
            self._telemetry.emit("worker.crashed", worker=self.name, error=error)
            return None

    async def _wait(self, seconds: float, deaths: int) -> None:
        if seconds <= 0 or self._ending.is_set():
            return
        self._telemetry.emit("worker.delayed", worker=self.name, deaths=deaths, wait_s=seconds)
        await self._pause(seconds)

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._ending.wait(), seconds)


def _counts(ending: Ending) -> bool:
    """Whether this end is one of a row: a process that has lived for a while has proved itself."""
    return ending.seconds < _PROVED_S and ending.code not in (DRAINED, RECYCLE)


def wait_s(deaths: int, *, has_registered: bool) -> float:
    """Return the seconds before the next start after so many quick deaths in a row."""
    if has_registered:
        return 0.0 if deaths <= _FREE_STARTS else min(_LONGEST_AFTER_WORK_S, 0.1 * 2.0 ** (deaths - _FREE_STARTS - 1))
    return 0.0 if deaths <= 1 else min(_LONGEST_S, 0.5 * 2.0 ** (deaths - 2))
