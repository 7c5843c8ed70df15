"""Truth: only a crash while alone condemns, and only a suspect runs alone (P8)."""

from __future__ import annotations

from tests.checkers.history import Broken, Condemned, History
from tests.checkers.runs import by_token, runs_of

TRUTH = "only a crash while alone condemns"
ALONE = "/alone#"


def blame(history: History) -> list[Broken]:
    """Look for jobs that were condemned although they did not run, or not alone, on the worker that died.

    Where nobody can know what ran, since the machine is lost, what was held counts.
    """
    runs = by_token(runs_of(history))
    broken: list[Broken] = []
    for event in history:
        if not isinstance(event, Condemned):
            continue
        there = [run for run in runs.get(event.token, ()) if run.worker == event.worker and not run.has_ended]
        if event.is_known and not there:
            broken.append(
                Broken(TRUTH, f"{event.token} was condemned for the end of {event.worker}, where it did not run")
            )
        elif ALONE not in event.worker:
            broken.append(
                Broken(TRUTH, f"{event.token} was condemned for the end of {event.worker}, which had others, too")
            )
    return broken
