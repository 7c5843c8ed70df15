"""How much moves when a worker joins or leaves, and how even the ring is.

    python bench/ring_figures.py

For each size, 40 clusters with names of their own; in each, one worker leaves and joins again. The ring is a function of its
members, so a join moves exactly the slots that the leave moved. Pure arithmetic: the same figures on every machine.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Sequence
from typing import NamedTuple

from rota.model.limits import SLOT_COUNT
from rota.ring.member import Member
from rota.ring.ring import Ring

RUNS = 40
SHAPES = {
    "Nodes of one worker each": {2: (2, 1), 3: (3, 1), 8: (8, 1), 16: (16, 1), 32: (32, 1), 64: (64, 1)},
    "Few nodes of many workers": {2: (1, 2), 3: (1, 3), 8: (2, 4), 16: (4, 4), 32: (4, 8), 64: (8, 8)},
}
HEAD = """
moved       slots that change their owner at one join or leave, in percent of all
least       the least possible: at a leave what the worker had, at a join an even share
extra       moved, and neither from nor to that worker: what the cap asks for
same node   of the leaver's slots, how many stay on its node
max/mean    the fullest worker against the mean; the cap is 1.25
"""


class Change(NamedTuple):
    """One worker leaving and coming back; shares in percent."""

    moved: float
    own: float
    extra: float
    same_node: float
    load: float


def main() -> None:
    out = sys.stdout
    out.write(f"{RUNS} clusters a line, {SLOT_COUNT:,} slots; mean (worst).\n{HEAD}")
    for title, sizes in SHAPES.items():
        out.write(f"\n{title}\n")
        out.write(
            "workers  nodes x each            moved   least: leave   join          extra   same node       max/mean\n"
        )
        for workers, (nodes, each) in sizes.items():
            out.write(line(workers, nodes, each) + "\n")


def line(workers: int, nodes: int, each: int) -> str:
    """Return one line of the table."""
    chance = random.Random(workers)
    changes = []
    for run in range(RUNS):
        members = [Member(f"run{run}-{node}/{place}") for node in range(nodes) for place in range(1, each + 1)]
        changes.append(one_change(members, chance.choice(members)))
    moved, own, extra, same_node, load = (list(figures) for figures in zip(*changes, strict=True))
    return (
        f"{workers:7}  {f'{nodes} x {each}':>12}  {told(moved):>15}   {mean(own):12.2f} {100 / workers:6.2f}"
        f"  {told(extra):>13}   {mean(same_node):7.0f} %  {told(load):>13}"
    )


def one_change(members: Sequence[Member], one: Member) -> Change:
    """Return what happens when ``one`` leaves and comes back."""
    larger, smaller = Ring.of(members), Ring.of([member for member in members if member != one])
    own = larger.slots_of(one.name)
    near = [slot for slot in own if str(smaller.owner(slot)).startswith(f"{one.node}/")]
    moved = larger.moved_to(smaller)
    fullest = max(larger.shares().values()) * len(members) / SLOT_COUNT
    return Change(percent(moved), percent(own), percent(set(moved) - set(own)), 100 * len(near) / len(own), fullest)


def percent(slots: Sequence[int] | set[int]) -> float:
    return 100 * len(slots) / SLOT_COUNT


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def told(values: Sequence[float]) -> str:
    return f"{mean(values):.2f} ({max(values):.2f})"


if __name__ == "__main__":
    main()
