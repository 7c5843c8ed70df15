"""What holds for every ring."""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Sequence

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from rota.model.limits import SLOT_COUNT
from rota.ring.member import Member
from rota.ring.moves import moves
from rota.ring.placement import vacant_places
from rota.ring.ring import Ring
from rota.ring.score import column

SLOTS = range(SLOT_COUNT)
FEW = settings(max_examples=settings().max_examples * 40 // 100, deadline=None)
SAME = settings(FEW, derandomize=True)
"""The same sets in each run: for what holds of nearly all sets, and has no proof for all."""

names = st.text(min_size=1, max_size=20).filter(
    lambda text: unicodedata.is_normalized("NFC", text) and len(text.encode("utf-8", "replace")) <= 60
)
printable = names.filter(lambda text: text.encode("utf-8", "ignore").decode() == text)


@st.composite
def whole_nodes(draw: st.DrawFn, least: int = 1, most: int = 8) -> tuple[Member, ...]:
    """Draw nodes all of whose places are taken: numbered from 1, one weight a node."""
    nodes = draw(st.lists(printable, min_size=least, max_size=most, unique=True))
    found = []
    for node in nodes:
        weight = draw(st.sampled_from([1, 1, 1, 2, 5]))
        found += [Member(f"{node}/{number}", weight) for number in range(1, draw(st.integers(1, 6)) + 1)]
    return tuple(found)


@st.composite
def any_members(draw: st.DrawFn) -> tuple[Member, ...]:
    """Draw any set of members: with vacant places, without numbers, of any weight."""
    whole = draw(whole_nodes())
    keep = draw(st.lists(st.booleans(), min_size=len(whole), max_size=len(whole)))
    odd = draw(st.dictionaries(printable, st.integers(1, 1000), max_size=4))
    taken = {member.name for member in whole}
    return (
        *(member for member, is_kept in zip(whole, keep, strict=True) if is_kept),
        *(Member(name, weight) for name, weight in odd.items() if name not in taken),
    )


def minded(ring: Ring) -> set[int]:
    """Return the slots whose cheapest place is vacant, so that others mind them."""
    present = [column(member.name, member.weight) for member in ring.members]
    vacant = [column(place.name, place.weight) for place in vacant_places(ring.members)]
    return {slot for slot in SLOTS if vacant and min(c[slot] for c in vacant) < min(c[slot] for c in present)}


@FEW
@given(members=any_members())
def test_every_slot_has_one_owner_and_nobody_is_above_the_cap(members: tuple[Member, ...]) -> None:
    """A slot without an owner would wait for a thief; a worker far above its share would be late with everything."""
    ring = Ring.of(members)

    shares = ring.shares()

    assert set(shares) == {member.name for member in members}
    assert sum(shares.values()) == (SLOT_COUNT if members else 0)
    assert all(share <= ring.cap(name) for name, share in shares.items())
    assert sorted(slot for name in shares for slot in ring.slots_of(name)) == (list(SLOTS) if members else [])


@FEW
@given(members=any_members(), chance=st.randoms(use_true_random=False))
def test_the_order_of_the_members_does_not_matter(members: tuple[Member, ...], chance: random.Random) -> None:
    """Every worker works out the ring by itself, from rows in whatever order it read them."""
    shuffled = list(members) + list(members[:2])
    chance.shuffle(shuffled)

    assert Ring.of(shuffled) == Ring.of(members)


@FEW
@given(members=any_members())
def test_nobody_would_rather_have_it_otherwise(members: tuple[Member, ...]) -> None:
    """Stable: no slot and worker of one node would both gain by leaving their partners for each other."""
    ring = Ring.of(members)
    costs = {member.name: column(member.name, member.weight) for member in members}
    dearest = {name: max((costs[name][slot] for slot in ring.slots_of(name)), default=0) for name in costs}
    is_full = {name: len(ring.slots_of(name)) == ring.cap(name) for name in costs}
    node = {member.name: member.node for member in members}

    for slot, owner in enumerate(ring.owners):
        better = [n for n in costs if node[n] == node[owner] and costs[n][slot] < costs[owner][slot]]
        assert all(is_full[name] and dearest[name] <= costs[name][slot] for name in better)


@SAME
@given(members=whole_nodes(), data=st.data())
def test_a_worker_that_leaves_or_joins_moves_only_its_own_slots(
    members: tuple[Member, ...], data: st.DataObject
) -> None:
    """Losing one worker must not disturb the keys that the others serve (P7).

    1 % is kept by every set up to 32 members that looks like a real one. Here are others; of some thousands none reached 2 %.
    """
    assume(len(members) > 1)
    one = data.draw(st.sampled_from(members), label="one")
    with_it = Ring.of(members)

    without = Ring.of(set(members) - {one})

    own = set(with_it.slots_of(one.name))
    moved = set(with_it.moved_to(without))
    assert own <= moved
    assert len(moved - own) <= 0.02 * SLOT_COUNT


@SAME
@given(members=any_members(), data=st.data())
def test_beside_vacant_places_only_minded_slots_move_as_well(members: tuple[Member, ...], data: st.DataObject) -> None:
    """What somebody minds for a place that nobody is in may go on when the place is forgotten."""
    same = {member.node: member.weight for member in members}
    alike = tuple(Member(member.name, same[member.node]) for member in members)
    assume(len(alike) > 1)
    one = data.draw(st.sampled_from(alike), label="one")
    with_it = Ring.of(alike)

    without = Ring.of(set(alike) - {one})

    others = set(with_it.moved_to(without)) - set(with_it.slots_of(one.name)) - minded(with_it) - minded(without)
    assert len(others) <= 0.02 * SLOT_COUNT


@FEW
@given(before=any_members(), after=any_members())
def test_a_plan_of_moves_is_exactly_the_difference(before: tuple[Member, ...], after: tuple[Member, ...]) -> None:
    """What `rota ring` tells is what happened."""
    one, other = Ring.of(before), Ring.of(after)

    plan = moves(one, other)

    owners: list[str | None] = [*one.owners] or [None] * len(other.owners)
    for move in plan:
        for slot in move.slots:
            assert owners[slot] == move.giver
            owners[slot] = move.taker
    expected: list[str | None] = [*other.owners] or [None] * len(owners)
    assert owners == expected


def shapes() -> list[Sequence[Member]]:
    chance = random.Random(3)
    found: list[Sequence[Member]] = []
    for run in range(100):
        places = chance.choice([1, 1, 2, 4])
        nodes = range(chance.randint(2, 32 // places))
        found.append([Member(f"{run}-{node}/{place}") for node in nodes for place in range(1, places + 1)])
    return found


def test_one_change_moves_one_share_and_at_most_one_percent_more() -> None:
    """P7 in its own words, over a hundred clusters of up to 32 workers that look like real ones.

    A join is a leave read backwards: the ring is a function of its members.
    """
    chance = random.Random(4)
    ratios, extras = [], []
    for members in shapes():
        one = chance.choice(members)
        larger, smaller = Ring.of(members), Ring.of([member for member in members if member != one])
        moved = larger.moved_to(smaller)
        assert smaller.moved_to(larger) == moved
        extras.append(len(moved) - len(larger.slots_of(one.name)))
        ratios.append(len(moved) * len(members) / SLOT_COUNT)

    assert max(extras) <= SLOT_COUNT // 100
    assert sum(ratios) / len(ratios) < 1.1
