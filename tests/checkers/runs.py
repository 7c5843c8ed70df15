"""Runs: what the handlers' own log says of each time that a job was run."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tests.checkers.history import Alive, Ended, History, Killed, Started


@dataclass
class Run:
    """One run of one job.

    Attributes:
        began: When the handler wrote its first line.
        lived: The last moment at which it is known to have been running: its end, or a sign of life, or the moment before its
            process was killed. It may have lived a little longer; so two runs that overlap by this did overlap.
        has_ended: It wrote its last line.
    """

    token: str
    fence: int
    worker: str
    began: int
    lived: int
    has_ended: bool = False


def runs_of(history: History) -> list[Run]:
    """Return all runs in the order of their beginnings."""
    runs: dict[tuple[str, int], Run] = {}
    open_of: dict[str, set[tuple[str, int]]] = {}
    repeated: list[Run] = []
    for event in history:
        if isinstance(event, Started):
            run = Run(event.token, event.fence, event.worker, event.at, event.at)
            if (event.token, event.fence) in runs:
                repeated.append(runs[event.token, event.fence])
            runs[event.token, event.fence] = run
            open_of.setdefault(event.worker, set()).add((event.token, event.fence))
        elif isinstance(event, Alive | Ended) and (event.token, event.fence) in runs:
            run = runs[event.token, event.fence]
            run.lived = event.at
            if isinstance(event, Ended):
                run.has_ended = True
                open_of.get(run.worker, set()).discard((event.token, event.fence))
        elif isinstance(event, Killed):
            for which in open_of.pop(event.worker, ()):
                runs[which].lived = max(runs[which].lived, event.at)
    return sorted([*runs.values(), *repeated], key=lambda run: run.began)


def by_token(runs: Iterable[Run]) -> dict[str, list[Run]]:
    """Return the runs of each job, in order."""
    grouped: dict[str, list[Run]] = {}
    for run in runs:
        grouped.setdefault(run.token, []).append(run)
    return grouped
