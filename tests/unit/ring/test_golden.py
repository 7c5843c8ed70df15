"""The ring is the same on every machine and in every release: vectors that were written down once.

If a change of the method is meant, raise ``ALGORITHM`` and write them anew:
``python -m tests.unit.ring.test_golden > tests/unit/ring/golden.json``.
"""

from __future__ import annotations

import json
import sys
from hashlib import blake2b
from pathlib import Path
from typing import Any

import pytest

from rota.ring.member import Member
from rota.ring.ring import Ring
from rota.ring.score import ALGORITHM, column

GOLDEN = json.loads((Path(__file__).parent / "golden.json").read_text(encoding="utf-8"))
SETS: dict[str, dict[str, int]] = {
    "one": {"mitte/1": 1},
    "two of one node": {"mitte/1": 1, "mitte/2": 1},
    "a vacant place": {"mitte/1": 1, "mitte/3": 1, "wedding/1": 1, "wedding/2": 1},
    "eight nodes": {f"node-{number}/1": 1 for number in range(8)},
    "four nodes of four": {f"node-{number}/{place}": 1 for number in range(4) for place in range(1, 5)},
    "weights": {"small/1": 1, "middle/1": 3, "large/1": 10, "largest/1": 1000},
    "names without a number": {"alpha": 1, "beta": 1, "gamma/x": 1, "gamma/07": 1},
    "names of the world": {"köln/1": 1, "東京/1": 1, "Αθήνα/1": 1, "🍕/1": 1},
    "thirty-two": {f"h{number}/{place}": 1 for number in range(16) for place in (1, 2)},
}


def vector(members: dict[str, int]) -> dict[str, Any]:
    ring = Ring.of(Member(name, weight) for name, weight in members.items())
    return {
        "members": members,
        "shares": ring.shares(),
        "owners_of_every_64th_slot": ring.owners[::64],
        "blake2b_16_of_owners": blake2b("\n".join(ring.owners).encode(), digest_size=16).hexdigest(),
    }


def vectors() -> dict[str, Any]:
    return {
        "algorithm": ALGORITHM,
        "costs_of_slots_0_to_7": {name: list(column(name)[:8]) for name in ("mitte/1", "köln/1")},
        "rings": {title: vector(members) for title, members in SETS.items()},
    }


def as_json(value: Any) -> Any:
    return json.loads(json.dumps(value))


def test_the_vectors_are_those_of_this_algorithm() -> None:
    assert GOLDEN["algorithm"] == ALGORITHM
    assert set(GOLDEN["rings"]) == set(SETS)


def test_costs_are_as_written_down() -> None:
    assert as_json(vectors()["costs_of_slots_0_to_7"]) == GOLDEN["costs_of_slots_0_to_7"]


@pytest.mark.parametrize("title", SETS)
def test_a_ring_is_as_written_down(title: str) -> None:
    """Two workers of different releases that disagree about an owner would each leave a slot to the other."""
    assert as_json(vector(SETS[title])) == GOLDEN["rings"][title]


if __name__ == "__main__":
    json.dump(vectors(), sys.stdout, indent=1, ensure_ascii=False)
    sys.stdout.write("\n")
