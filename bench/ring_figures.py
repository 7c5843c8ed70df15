"""How much moves when a worker joins or leaves, and how even the ring is.

    python bench/ring_figures.py

For each size, 40 clusters with names of their own; in each one worker leaves, and joins again. Pure arithmetic: the figures
are the same on every machine.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Sequence

from rota.model.limits import SLOT_COUNT
from rota.ring.member import Member
from rota.ring.ring import Ring

RUNS = 40
SHAPES = {
    "nodes of one worker": {2: (2, 1), 3: (3, 1), 8: (8, 1), 16: (16, 1), 32: (32, 1), 64: (64, 1)},
    "few nodes of many": {2: (1, 2), 3: (1, 3), 8: (2, 4), 16: (4, 4), 32: (4, 8), 64: (8, 8)},
}


def main() -> None:
    out = sys.stdout
    out.write(
        f"{RUNS} clusters a line, {SLOT_COUNT:,} slots, cap 5/4 of the mean. Shares in percent of all slots; mean (largest).\n"
    )
    for title, sizes in SHAPES.items():
        out.write(
            f"\n{title}\n"
            "workers  nodes x each   leave moves    least   not its own     join moves    least   not its own"
            "   same node     max/mean\n"
        )
        for workers, (nodes, each) in sizes.items():
            out.write(line(workers, nodes, each) + "\n")


def line(workers: int, nodes: int, each: int) -> str:
    """Return one line of the table."""
    chance = random.Random(workers)
    rows = []
    for run in range(RUNS):
        members = [Member(f"run{run}-{node}/{place}") for node in range(nodes) for place in range(1, each + 1)]
        rows.append(one_change(members, chance.choice(members)))
    left, own, joined, taken, local, load = ([row[index] for row in rows] for index in range(6))
    least = f"{100 / workers:9.2f}"
    return (
        f"{workers:7}  {f'{nodes} x {each}':>12}  {told(left)}{told_mean(own)}{told(less(left, own))}   "
        f"{told(joined)}{least}{told(less(joined, taken))}   {sum(local) / RUNS:8.0f} %   {told(load)}"
    )


def one_change(members: Sequence[Member], one: Member) -> tuple[float, ...]:
    """Return what moved when ``one`` left and came back, and the load of the fullest worker."""
    larger, smaller = Ring.of(members), Ring.of([member for member in members if member != one])
    own = larger.slots_of(one.name)
    inherited = [slot for slot in own if str(smaller.owner(slot)).startswith(f"{one.node}/")]
    moved = percent(len(larger.moved_to(smaller)))
    back = percent(len(smaller.moved_to(larger)))
    fullest = max(larger.shares().values()) * len(members) / SLOT_COUNT
    return moved, percent(len(own)), back, percent(len(own)), 100 * len(inherited) / max(1, len(own)), fullest


def percent(slots: int) -> float:
    return 100 * slots / SLOT_COUNT


def less(one: list[float], other: list[float]) -> list[float]:
    return [a - b for a, b in zip(one, other, strict=True)]


def told(values: list[float]) -> str:
    return f"{sum(values) / len(values):6.2f} ({max(values):5.2f})"


def told_mean(values: list[float]) -> str:
    return f"{sum(values) / len(values):9.2f}"


if __name__ == "__main__":
    main()
