"""Which worker gets which slot: the method of the ring.

    every slot ──asks its cheapest worker──▶ worker, which keeps its cheapest up to its cap
        ▲                                        │
        └────────── asks its next choice ◀── lets go of the dearest

**Stable matching.** Slots ask in order of cost; a worker over its cap lets go of the slot that is dearest to it, which asks
its next choice. The end does not depend on who asks first (Gale and Shapley), so it is a function of the members alone.
The cap is 5/4 of the weighted mean, rounded up: no worker is ever more than a quarter above its share.

**Two levels.** A slot asks a node first and a process of it second. A node costs what its cheapest *place* costs, and a place
is counted also while nobody is in it: if ``a/1`` and ``a/3`` are here, then ``a/2`` is a vacant place of ``a``, and the slots
that it would win are minded by ``a/1`` and ``a/3``. So a crashed process hands its slots to its neighbours on the same host,
up to their caps; only what is above goes further. When the place with a node's highest number goes, nothing tells that it
ever was there: its slots spread over all, just as few.
Why places and not the living: docs/decisions/0001-rendezvous-with-a-cap.md.

Invariants, each with the test that holds it:
    Every slot has one owner, and no worker is above its cap.    tests/property/test_ring.py
    The order of the members does not matter.                    tests/property/test_ring.py
    A join or a leave moves the worker's own slots, at most      tests/property/test_ring.py
      1 % more, and those minded for a vacant place.
    The same on every machine and in every release.              tests/unit/ring/test_golden.py

Sources:
    D. Gale, L. S. Shapley, "College Admissions and the Stability of Marriage", 1962.
    V. Mirrokni, M. Thorup, M. Zadimoghaddam, "Consistent Hashing with Bounded Loads", 2016 (the cap).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from heapq import heappush, heapreplace

from rota.model.limits import SLOT_COUNT
from rota.ring.member import Member
from rota.ring.score import column


def caps(members: Sequence[Member]) -> dict[str, int]:
    """Return the most slots that each member may have: 5/4 of its weighted share, rounded up."""
    total = sum(member.weight for member in members)
    return {member.name: -(-5 * SLOT_COUNT * member.weight // (4 * total)) for member in members}


def place(members: Sequence[Member]) -> tuple[str, ...]:
    """Return the owner's name of every slot, from 0; empty when there are no members.

    Args:
        members: In order of name, each name once.
    """
    if not members:
        return ()
    choices = _Choices.of(members)
    room = list(caps(members).values())
    kept: list[list[tuple[int, int]]] = [[] for _ in members]
    further: dict[int, Iterator[int]] = {}
    for first in range(SLOT_COUNT):
        slot, wanted = first, choices.first(first)
        while True:
            bid = (-choices.columns[wanted][slot], -slot)
            if len(kept[wanted]) < room[wanted]:
                heappush(kept[wanted], bid)
                break
            slot = -heapreplace(kept[wanted], bid)[1] if bid > kept[wanted][0] else slot
            if slot not in further:
                further[slot] = choices.after_first(slot)
            wanted = next(further[slot])
    owners = [""] * SLOT_COUNT
    for member, bids in zip(members, kept, strict=True):
        for _, negative in bids:
            owners[-negative] = member.name
    return tuple(owners)


@dataclass(frozen=True, slots=True)
class _Choices:
    """Whom each slot asks, in order. Members are known by their index here; on equal cost the lower name comes first.

    Attributes:
        columns: Costs by member: first the members, then the vacant places.
        nodes: For each column the number of its node.
        members_of: For each node the indexes of its members, without the vacant places.
    """

    columns: tuple[Sequence[int], ...]
    nodes: tuple[int, ...]
    members_of: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, members: Sequence[Member]) -> _Choices:
        vacant = vacant_places(members)
        names = sorted({member.node for member in members})
        number = {name: index for index, name in enumerate(names)}
        return cls(
            columns=tuple(column(place.name, place.weight) for place in (*members, *vacant)),
            nodes=tuple(number[place.node] for place in (*members, *vacant)),
            members_of=tuple(
                tuple(index for index, member in enumerate(members) if member.node == name) for name in names
            ),
        )

    def first(self, slot: int) -> int:
        """Return the member that the slot likes best: the cheapest place, or the cheapest member of its node."""
        costs = [column[slot] for column in self.columns]
        cheapest = costs.index(min(costs))
        team = self.members_of[self.nodes[cheapest]]
        return cheapest if cheapest in team else min(team, key=costs.__getitem__)

    def after_first(self, slot: int) -> Iterator[int]:
        """Yield all other members in the order in which the slot asks them."""
        costs = [column[slot] for column in self.columns]
        node_costs = [costs[team[0]] for team in self.members_of]
        for cost, node in zip(costs, self.nodes, strict=True):
            node_costs[node] = min(node_costs[node], cost)
        order = [
            index
            for node in sorted(range(len(node_costs)), key=node_costs.__getitem__)
            for index in sorted(self.members_of[node], key=costs.__getitem__)
        ]
        return iter(order[1:])


def vacant_places(members: Sequence[Member]) -> list[Member]:
    """Return the places below a node's highest number that nobody is in, each with the weight of that highest one."""
    present = {member.name for member in members}
    highest: dict[str, Member] = {}
    for member in members:
        if member.number > highest.get(member.node, member).number or member.node not in highest:
            highest[member.node] = member
    return [
        Member(name, top.weight)
        for node, top in sorted(highest.items())
        for number in range(1, top.number)
        if (name := f"{node}/{number}") not in present
    ]
