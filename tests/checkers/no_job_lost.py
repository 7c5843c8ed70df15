"""Truth: every accepted job is in the store at the end, and done if it should be (P1, P3)."""

from __future__ import annotations

from tests.checkers.history import FINAL, Broken, Found, History, Submitted

TRUTH = "no job is lost"


def no_job_lost(history: History, *, all_done: bool = True) -> list[Broken]:
    """Look for accepted jobs that are nowhere, or not done.

    Only jobs whose submit returned count: where the reply was lost, nothing was promised.

    Args:
        all_done: Whether every job should have been settled by the end of the history.
    """
    found = {event.token: event.state for event in history if isinstance(event, Found)}
    accepted = dict.fromkeys(event.token for event in history if isinstance(event, Submitted))
    lost = [Broken(TRUTH, f"{token} was accepted and is nowhere") for token in accepted if token not in found]
    if not all_done:
        return lost
    return lost + [
        Broken(TRUTH, f"{token} was accepted and is still {found[token]}")
        for token in accepted
        if token in found and found[token] not in FINAL
    ]
