"""Truth: when all is done, nothing is left that belongs to work in progress: what is left would grow without bound."""

from __future__ import annotations

from tests.checkers.history import Broken, History, Left

TRUTH = "nothing is left behind"


def no_growth(history: History) -> list[Broken]:
    """Look for rows and files of which there are more than allowed."""
    return [
        Broken(TRUTH, f"{event.count} {event.kind} are left; {event.count_max} are allowed")
        for event in history
        if isinstance(event, Left) and event.count > event.count_max
    ]
