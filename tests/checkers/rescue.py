"""Truth: what a dead worker held is back in its places in time (P6)."""

from __future__ import annotations

from tests.checkers.history import Broken, History, Killed, Released

TRUTH = "what a dead worker held is back in time"


def rescue(history: History, *, seconds_max: float) -> list[Broken]:
    """Look for jobs that went back later than promised after the end of the worker that held them.

    Only from when they were back, not from when they ran again: whether a hand is free is not a matter of recovery.
    """
    broken: list[Broken] = []
    ended: dict[str, int] = {}
    for event in history:
        if isinstance(event, Killed):
            ended[event.worker] = event.at
        elif isinstance(event, Released) and event.jobs and event.worker in ended:
            seconds = (event.at - ended[event.worker]) / 1e9
            if seconds > seconds_max:
                says = f"{event.jobs} jobs were back {seconds:.3f} s after the end of {event.worker}"
                broken.append(Broken(TRUTH, f"{says}; {seconds_max} s are promised"))
    return broken
