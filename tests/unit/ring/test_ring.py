"""Members, rings and the plan of moves, by example."""

from __future__ import annotations

import doctest
import math
import random
import sys
from itertools import pairwise

import pytest

from rota.errors import ConfigError, LimitError
from rota.model.limits import SLOT_COUNT
from rota.ring.member import Member
from rota.ring.moves import Why, moves
from rota.ring.placement import vacant_places
from rota.ring.ring import Ring
from rota.ring.score import column, cost


def members(*names: str) -> list[Member]:
    return [Member(name) for name in names]


def test_an_empty_ring_has_no_owners() -> None:
    """Before the first worker is there, and after the last one left."""
    empty, one = Ring.of([]), Ring.of(members("a/1"))

    assert empty.owner(0) is None
    assert empty.slots_of("a/1") == ()
    assert empty.shares() == {}
    assert empty.cap("a/1") == 0
    assert empty.moved_to(Ring.of([])) == ()
    assert empty.moved_to(one) == one.moved_to(empty) == tuple(range(SLOT_COUNT))


def test_one_worker_has_every_slot() -> None:
    ring = Ring.of(members("a/1"))

    assert ring.slots_of("a/1") == tuple(range(SLOT_COUNT))
    assert ring.shares() == {"a/1": SLOT_COUNT}


def test_the_cap_is_a_quarter_above_the_weighted_share_rounded_up() -> None:
    ring = Ring.of([Member("a/1", 1), Member("b/1", 2)])

    assert ring.cap("a/1") == 427
    assert ring.cap("b/1") == 854
    assert ring.cap("c/1") == 0


def test_a_weight_of_three_gets_about_three_times_as_much() -> None:
    ring = Ring.of([*(Member(f"light-{number}/1") for number in range(4)), Member("heavy/1", 4)])

    assert 0.4 < ring.shares()["heavy/1"] / SLOT_COUNT < 0.6


def test_the_same_name_twice_with_two_weights_is_refused() -> None:
    with pytest.raises(ConfigError, match="a/1 twice, with weights 1 and 2"):
        Ring.of([Member("a/1", 1), Member("a/1", 2)])


def test_accents_in_either_spelling_are_one_name() -> None:
    """A host name that comes from a file system may be spelled with combining accents."""
    assert Member("ko\u0308ln/1") == Member("k\u00f6ln/1")


@pytest.mark.parametrize(
    ("name", "node", "number"),
    [
        ("mitte/1", "mitte", 1),
        ("mitte/256", "mitte", 256),
        ("mitte/257", "mitte", 0),
        ("mitte/0", "mitte", 0),
        ("mitte/01", "mitte", 0),
        ("mitte/٣", "mitte", 0),
        ("mitte/", "mitte", 0),
        ("mitte/1-2", "mitte", 0),
        ("a/b/7", "a/b", 7),
        ("/7", "/7", 7),
        ("7", "7", 0),
    ],
)
def test_a_name_says_node_and_number(name: str, node: str, number: int) -> None:
    assert (Member(name).node, Member(name).number) == (node, number)


@pytest.mark.parametrize("name", ["", "x" * 201, "\ud800"])
def test_a_name_that_cannot_be_written_down_is_refused(name: str) -> None:
    with pytest.raises(LimitError):
        Member(name)


@pytest.mark.parametrize("weight", [0, -1, 1001, True])
def test_a_weight_out_of_range_is_refused(weight: int) -> None:
    with pytest.raises(LimitError):
        Member("a/1", weight)


def test_a_crashed_process_hands_its_slots_to_its_host_first() -> None:
    """Whoever is on the same host has the same files and caches at hand."""
    full = members(*(f"{node}/{place}" for node in "abcd" for place in range(1, 5)))
    before = Ring.of(full)

    after = Ring.of([member for member in full if member.name != "a/2"])

    takers = [str(after.owner(slot)) for slot in before.slots_of("a/2")]
    strangers = [taker for taker in takers if not taker.startswith("a/")]
    has_room = any(len(after.slots_of(name)) < after.cap(name) for name in ("a/1", "a/3", "a/4"))
    assert len(strangers) <= 0.2 * len(takers)
    assert not (strangers and has_room)


def test_a_vacant_place_is_one_below_the_highest_number() -> None:
    found = vacant_places([Member("a/2", 7), Member("a/4", 3), Member("b/1"), Member("c"), Member("d/x")])

    assert found == [Member("a/1", 3), Member("a/3", 3)]


def test_costs_follow_the_logarithm() -> None:
    """Ordered like the draw, and true to -log2: a weight of w is then chosen w times as often."""
    chance = random.Random(7)
    draws = sorted({1, 2, 2**64 - 1, 2**63, 2**63 - 1, *(chance.getrandbits(64) | 1 for _ in range(2_000))})

    costs = [cost(bits) for bits in draws]

    assert all(dear >= cheap >= 0 for dear, cheap in pairwise(costs))
    assert all(abs(found / 2**48 + math.log2(bits / 2**64)) < 3e-6 for found, bits in zip(costs, draws, strict=True))


def test_a_column_is_divided_by_the_weight() -> None:
    assert list(column("a/1", 5)) == [value // 5 for value in column("a/1")]


def test_moves_say_who_left_and_who_joined() -> None:
    before, after = Ring.of(members("a/1", "b/1", "c/1")), Ring.of(members("b/1", "c/1", "d/1"))

    plan = moves(before, after)

    assert {move.why for move in plan if move.giver == "a/1"} == {Why.LEFT}
    assert {move.why for move in plan if move.taker == "d/1" and move.giver != "a/1"} == {Why.JOINED}
    assert sorted(slot for move in plan for slot in move.slots) == list(before.moved_to(after))


def test_moves_say_when_a_weight_or_the_cap_was_the_reason() -> None:
    before = Ring.of([Member("a/1", 1), Member("b/1", 1)])

    heavier = moves(before, Ring.of([Member("a/1", 1), Member("b/1", 3)]))

    assert {move.why for move in heavier} == {Why.WEIGHT}
    assert all(move.sentence.endswith("the weight of one of them changed") for move in heavier)


def test_the_cap_moves_slots_between_those_who_stay() -> None:
    """With many members some are at their cap, which narrows for all when another joins."""
    names = [f"n{number}/1" for number in range(48)]
    plans = [moves(Ring.of(members(*names[:count])), Ring.of(members(*names[: count + 1]))) for count in range(32, 48)]

    by_cap = [move for plan in plans for move in plan if move.why is Why.CAP]

    assert by_cap
    assert all(move.sentence.endswith("to keep everyone at or below 5/4 of their share") for move in by_cap)


def test_a_move_reads_as_a_sentence() -> None:
    one, none = Ring.of(members("a/1")), Ring.of([])

    assert [move.sentence for move in moves(none, one)] == ["1,024 slots from nobody to a/1: a/1 joined"]
    assert [move.sentence for move in moves(one, none)] == ["1,024 slots from a/1 to nobody: a/1 left"]
    assert moves(one, one) == ()


def test_the_example_of_the_docstring_runs() -> None:
    failed, tried = doctest.testmod(sys.modules[Ring.__module__])

    assert tried >= 3
    assert failed == 0
