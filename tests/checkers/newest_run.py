"""Truth: what is recorded is the outcome of the newest run: an older one's is refused (P3)."""

from __future__ import annotations

from tests.checkers.history import Broken, History, Settled, Started, Yielded

TRUTH = "only the newest run's outcome is recorded"


def newest_run(history: History) -> list[Broken]:
    """Look for outcomes that were recorded under a fence although a run with a higher one had begun.

    Settles are taken at the instant at which they were recorded. Those without a fence (cancelled while waiting, condemned)
    are left aside.
    """
    broken: list[Broken] = []
    begun: dict[str, int] = {}
    for event in history:
        if isinstance(event, Started):
            begun[event.token] = max(event.fence, begun.get(event.token, 0))
        elif isinstance(event, Settled | Yielded) and 0 < event.fence < begun.get(event.token, 0):
            says = f"{event.token}: recorded under fence {event.fence}, though fence {begun[event.token]} was running"
            broken.append(Broken(TRUTH, says))
    return broken
