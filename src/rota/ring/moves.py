"""What changed between two rings, and why, for people (``rota ring``)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from rota.ring.ring import Ring


class Why(StrEnum):
    """Why slots moved from one worker to another."""

    LEFT = "left"
    JOINED = "joined"
    WEIGHT = "weight"
    CAP = "cap"


@dataclass(frozen=True, slots=True)
class Move:
    """Slots that went from one worker to another for one reason.

    Attributes:
        giver: Who had them; ``None`` if the ring was empty.
        taker: Who has them now; ``None`` if the ring is empty.
        slots: Ascending.
        why: ``left``: the giver is gone. ``joined``: the taker is new. ``weight``: one of the two weighs more or less than
            before. ``cap``: both stayed, and somebody's cap became narrower or wider because others came or went.
    """

    giver: str | None
    taker: str | None
    slots: tuple[int, ...]
    why: Why

    @property
    def sentence(self) -> str:
        """The same in words."""
        count = f"{len(self.slots):,} slot{'' if len(self.slots) == 1 else 's'}"
        path = f"{count} from {self.giver or 'nobody'} to {self.taker or 'nobody'}"
        reason = {
            Why.LEFT: f"{self.giver} left",
            Why.JOINED: f"{self.taker} joined",
            Why.WEIGHT: "the weight of one of them changed",
            Why.CAP: "to keep everyone at or below 5/4 of their share",
        }[self.why]
        return f"{path}: {reason}"


def moves(before: Ring, after: Ring) -> tuple[Move, ...]:
    """Return every move from one ring to the next, by giver and taker; nothing if no slot changed its owner."""
    found: dict[tuple[str | None, str | None], list[int]] = {}
    for slot in before.moved_to(after):
        found.setdefault((before.owner(slot), after.owner(slot)), []).append(slot)
    return tuple(
        Move(giver, taker, tuple(slots), _why(giver, taker, before, after))
        for (giver, taker), slots in sorted(found.items(), key=lambda item: (item[0][0] or "", item[0][1] or ""))
    )


def _why(giver: str | None, taker: str | None, before: Ring, after: Ring) -> Why:
    was = {member.name: member.weight for member in before.members}
    now = {member.name: member.weight for member in after.members}
    if giver is not None and giver not in now:
        return Why.LEFT
    if taker is not None and taker not in was:
        return Why.JOINED
    if any(was[name] != now[name] for name in (giver, taker) if name is not None):
        return Why.WEIGHT
    return Why.CAP
