"""Truth: the store holds what was handed to it, each once, and its own counts say the same."""

from __future__ import annotations

from tests.checkers.history import FINAL, Broken, Counted, Found, History, SubmitRefused, Submitted, Submitting

TRUTH = "accepted jobs are live or finished, and nothing else is there"


def conservation(history: History) -> list[Broken]:
    """Look for jobs that nobody submitted, that were refused and are there all the same, and for counts that do not add up.

    A job without a reply may be there or not. Submitted again after a refusal it may be there, of course.
    """
    found = [event for event in history if isinstance(event, Found)]
    handed_in = {event.token for event in history if isinstance(event, Submitting)}
    refused = {event.token for event in history if isinstance(event, SubmitRefused)}
    refused -= {event.token for event in history if isinstance(event, Submitted)}
    refused -= _without_reply(history)
    broken = [Broken(TRUTH, f"{row.token} was never submitted") for row in found if row.token not in handed_in]
    broken += [Broken(TRUTH, f"{row.token} was refused and is {row.state}") for row in found if row.token in refused]
    finished = sum(row.state in FINAL for row in found)
    for event in history:
        if isinstance(event, Counted) and (event.live, event.finished) != (len(found) - finished, finished):
            says = f"{len(found) - finished} live and {finished} finished rows, "
            broken.append(Broken(TRUTH, says + f"but the store counts {event.live} and {event.finished}"))
    return broken


def _without_reply(history: History) -> set[str]:
    """Return the jobs of which at least one submit had no answer at all, or none that is known."""
    asked: dict[str, int] = {}
    for event in history:
        if isinstance(event, Submitting):
            asked[event.token] = asked.get(event.token, 0) + 1
        elif isinstance(event, Submitted | SubmitRefused):
            asked[event.token] = asked.get(event.token, 0) - 1
    return {token for token, unanswered in asked.items() if unanswered > 0}
