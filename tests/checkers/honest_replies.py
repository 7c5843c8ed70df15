"""Truth: a settle whose reply was lost is recognised when it is sent again, not reported as stale (P3)."""

from __future__ import annotations

from tests.checkers.history import Broken, History, Reopened, Settled, SettleStale, Yielded

TRUTH = "what was recorded is not called stale"


def honest_replies(history: History) -> list[Broken]:
    """Look for outcomes that were recorded under a fence, and refused under the same fence later.

    After a person has reopened a job its former record is gone, and the outcome may be called stale. And of outcomes that
    were not final the store remembers the last: one that is repeated after another run has come to such an outcome, too, may
    be called stale.
    """
    broken: list[Broken] = []
    recorded: dict[str, set[int]] = {}
    for event in history:
        if isinstance(event, Yielded):
            recorded[event.token] = {event.fence}
        elif isinstance(event, Settled):
            recorded.setdefault(event.token, set()).add(event.fence)
        elif isinstance(event, Reopened):
            recorded.pop(event.token, None)
        elif isinstance(event, SettleStale) and event.fence in recorded.get(event.token, ()):
            broken.append(Broken(TRUTH, f"{event.token}: fence {event.fence} was recorded, then called stale"))
    return broken
