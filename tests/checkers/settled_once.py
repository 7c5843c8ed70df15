"""Truth: a job is settled once, until a person reopens it, and the record is the one that was reported (P2)."""

from __future__ import annotations

from tests.checkers.history import FINAL, Broken, Found, History, Reopened, Settled

TRUTH = "a job is settled once"


def settled_once(history: History) -> list[Broken]:
    """Look for jobs with two recorded outcomes, or with another outcome in the store than was reported.

    The same outcome reported twice is one: its reply was lost and it was asked for again. Settles without a reply are left
    aside: the store's row may be theirs.
    """
    broken: list[Broken] = []
    recorded: dict[str, Settled] = {}
    for event in history:
        if isinstance(event, Reopened):
            recorded.pop(event.token, None)
        elif isinstance(event, Settled) and event.state in FINAL:
            before = recorded.setdefault(event.token, event)
            if (before.fence, before.state) != (event.fence, event.state):
                broken.append(Broken(TRUTH, f"{event.token}: {_told(before)}, then {_told(event)}"))
        elif isinstance(event, Found) and event.token in recorded and event.state != recorded[event.token].state:
            said = _told(recorded[event.token])
            broken.append(Broken(TRUTH, f"{event.token}: reported as {said}, found {event.state}"))
    return broken + _found_twice(history)


def _found_twice(history: History) -> list[Broken]:
    seen: set[str] = set()
    broken = []
    for event in history:
        if isinstance(event, Found):
            if event.token in seen:
                broken.append(Broken(TRUTH, f"{event.token} is in the store twice"))
            seen.add(event.token)
    return broken


def _told(event: Settled) -> str:
    return f"{event.state} under fence {event.fence}"
