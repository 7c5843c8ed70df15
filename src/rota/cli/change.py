"""What the last change of a queue's ring was: who came or went, and which slots moved because of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rota.cli.words import listed

if TYPE_CHECKING:
    from rota.ring.ring import Ring
    from rota.store.port import DepartedRow, WorkerRow

TOGETHER_US = 2_000_000
"""Comings and goings within two seconds are one change: a node starts its processes one after the other."""


@dataclass(frozen=True, slots=True)
class Change:
    """The last change.

    Attributes:
        at: When it was complete, microseconds since 1970; ``None`` while it goes on: somebody drains.
        joined: Who came and is there, by name.
        left: Who went and has not come back, by name.
        replaced: Whose process ended and was followed by another of the same name.
        before: The ring before it.
        after: The ring after it.
    """

    at: int | None
    joined: tuple[str, ...]
    left: tuple[str, ...]
    replaced: tuple[str, ...]
    before: Ring
    after: Ring

    @property
    def sentence(self) -> str:
        """Who came and went, in words."""
        parts = [
            f"{listed(names)} {verb}"
            for names, verb in (
                (self.joined, "joined"),
                (self.left, "left" if self.at is not None else "drains" if len(self.left) == 1 else "drain"),
                (self.replaced, "ended and came back"),
            )
            if names
        ]
        return "; ".join(parts)


def last_change(queue: str, there: Sequence[WorkerRow], gone: Sequence[DepartedRow]) -> Change | None:
    """Return the last change of a queue's ring, as far as the rows tell; ``None`` if nobody ever came.

    When a worker began to drain is not on record: as long as it does, that is the last change, and later it counts as gone
    when it was closed.
    """
    from rota.ring.member import Member
    from rota.ring.ring import Ring

    members_now = [row for row in there if queue in row.queues and not row.is_alone]
    if leaving := [row for row in members_now if row.is_draining]:
        whole = {Member(row.name, row.weight) for row in members_now}
        rest = {Member(row.name, row.weight) for row in members_now if not row.is_draining}
        names = tuple(sorted(row.name for row in leaving))
        return Change(None, (), names, (), before=Ring.of(whole), after=Ring.of(rest))
    spans: list[tuple[WorkerRow | DepartedRow, int | None]] = [
        *((row, None) for row in members_now),
        *((row, row.closed_at) for row in gone if queue in row.queues and not row.is_alone),
    ]
    instants = sorted({at for row, end in spans for at in (row.registered_at, end) if at is not None}, reverse=True)
    if not instants:
        return None
    first = instants[0]
    for at in instants:
        if first - at > TOGETHER_US:
            break
        first = at

    def members(at: int) -> set[Member]:
        return {
            Member(row.name, row.weight) for row, end in spans if row.registered_at <= at and (end is None or end > at)
        }

    came = {row.name for row, _ in spans if row.registered_at >= first}
    left = {row.name for row, end in spans if end is not None and end >= first}
    was, now = {one.name for one in members(first - 1)}, {one.name for one in members(instants[0])}
    return Change(
        at=instants[0],
        joined=tuple(sorted(came & now - was)),
        left=tuple(sorted(left & was - now)),
        replaced=tuple(sorted(left & came & was & now)),
        before=Ring.of(members(first - 1)),
        after=Ring.of(members(instants[0])),
    )
