"""The ring of one queue at one epoch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from rota.errors import ConfigError
from rota.ring.member import Member
from rota.ring.placement import caps, place


@dataclass(frozen=True, slots=True)
class Ring:
    """Who is preferred for which slot. Made with ``Ring.of``; depends on nothing but the members.

    >>> ring = Ring.of([Member("mitte/1"), Member("mitte/2")])
    >>> ring.owner(7)
    'mitte/1'
    >>> len(ring.slots_of("mitte/1")) + len(ring.slots_of("mitte/2"))
    1024

    Attributes:
        members: In order of name.
        owners: The owner's name of each slot; empty when there are no members.
    """

    members: tuple[Member, ...]
    owners: tuple[str, ...]

    @classmethod
    def of(cls, members: Iterable[Member]) -> Ring:
        """Return the ring of these members, in any order; with none, no slot has an owner.

        Takes a few milliseconds for 16 members whose names it has seen before.

        Raises:
            ConfigError: If two members have one name and different weights.
        """
        ordered = tuple(sorted(set(members), key=lambda member: (member.name.encode(), member.weight)))
        for one, other in pairwise(ordered):
            if one.name == other.name:
                raise ConfigError(
                    f"The ring got {one.name} twice, with weights {one.weight} and {other.weight}; a place is there once.",
                    name=one.name,
                )
        return cls(ordered, place(ordered))

    def owner(self, slot: int) -> str | None:
        """Return the name of the worker that is preferred for this slot, 0 to 1023; ``None`` in an empty ring."""
        return self.owners[slot] if self.owners else None

    def slots_of(self, name: str) -> tuple[int, ...]:
        """Return this worker's slots, ascending; none if it is not a member."""
        return tuple(slot for slot, owner in enumerate(self.owners) if owner == name)

    def moved_to(self, other: Ring) -> tuple[int, ...]:
        """Return the slots whose owner is another one in the other ring, ascending."""
        if not self.owners or not other.owners:
            return tuple(range(len(self.owners or other.owners)))
        pairs = zip(self.owners, other.owners, strict=True)
        return tuple(slot for slot, (before, after) in enumerate(pairs) if before != after)

    def cap(self, name: str) -> int:
        """Return the most slots that this worker may have; 0 if it is not a member."""
        return caps(self.members).get(name, 0)

    def shares(self) -> dict[str, int]:
        """Return how many slots each member has, by name in order; some may have none."""
        counts = Counter(self.owners)
        return {member.name: counts[member.name] for member in self.members}
