"""Truth: nobody is declared dead while it runs: a worker's row is closed, and what it held released, after its end (P4)."""

from __future__ import annotations

from tests.checkers.history import Broken, Closed, History, Killed, Released

TRUTH = "who is declared dead is dead"


def lease_exclusivity(history: History) -> list[Broken]:
    """Look for workers that were closed, or whose jobs went back, before their process had ended.

    Asks for more than that no two runs overlap: those need a second worker that is quick enough.
    """
    broken: list[Broken] = []
    dead: set[str] = set()
    for event in history:
        if isinstance(event, Killed):
            dead.add(event.worker)
        elif isinstance(event, Closed) and event.worker not in dead:
            broken.append(Broken(TRUTH, f"{event.worker} was closed while it lived"))
        elif isinstance(event, Released) and event.worker and event.jobs and event.worker not in dead:
            broken.append(Broken(TRUTH, f"{event.jobs} jobs of {event.worker} were released while it lived"))
    return broken
