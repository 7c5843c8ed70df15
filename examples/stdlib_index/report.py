"""The short report at the end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from examples.stdlib_index.verdict import Verdict
from rota.ring.ring import Ring


@dataclass(frozen=True)
class Kill:
    """The kill, and what the store said just before it and after.

    Attributes:
        name: The worker's name on the ring.
        pid: Its process.
        after_jobs: How many jobs were done by then.
        held: Jobs that each worker held just before, by token: the worker's name.
        moved: Jobs that the store then took from the dead worker.
        before: The ring before.
        without: The ring of the others.
    """

    name: str
    pid: int
    after_jobs: int
    held: Mapping[str, str]
    moved: list[str]
    before: Ring
    without: Ring

    @property
    def stayed(self) -> int:
        """How many jobs were in the hands of the other workers, and were left there."""
        return len([token for token, name in self.held.items() if name != self.name and token not in self.moved])

    @property
    def wrongly_moved(self) -> int:
        """How many jobs were taken from a worker that lived."""
        return len([token for token in self.moved if self.held.get(token, self.name) != self.name])

    def slots(self) -> tuple[int, int]:
        """Return how many slots the dead worker had, and how many slots of others moved when it went."""
        own = set(self.before.slots_of(self.name))
        return len(own), len(set(self.before.moved_to(self.without)) - own)


@dataclass(frozen=True)
class Story:
    """All that the report tells."""

    jobs: int
    seconds: float
    kill: Kill
    verdict: Verdict
    is_equal: bool
    drained: bool

    @property
    def is_good(self) -> bool:
        """Whether the demo shows what it says."""
        return self.verdict.is_good and self.kill.wrongly_moved == 0 and self.is_equal and self.drained


def print_report(console: Console, story: Story) -> None:
    """Print it."""
    kill, verdict = story.kill, story.verdict
    own, extra = kill.slots()
    recovery = f"{max(verdict.recovery):.2f} s after the kill" if verdict.recovery else "at once"
    lines = [
        ("jobs", f"{story.jobs:,} in {story.seconds:.1f} s: {story.jobs / story.seconds:,.0f}/s"),
        ("killed", f"{kill.name}, process {kill.pid}, after {kill.after_jobs:,} jobs"),
        (
            "moved by the crash",
            f"{jobs(len(kill.moved))} of {kill.name}; {jobs(kill.stayed)} held by the others stayed there",
        ),
        ("moved on the ring", f"its {own} slots of 1,024, and {extra} of others', until its successor came"),
        ("recovery", f"{jobs(len(verdict.interrupted))} interrupted, running again {recovery}"),
        ("lost", count(verdict.lost)),
        ("done twice", count(verdict.done_twice)),
        ("two runs at once", count(verdict.overlaps)),
        ("out of order", count(verdict.out_of_order)),
        ("drained", "yes" if story.drained else "NO"),
        ("equal to the plain loop", "yes" if story.is_equal else "NO"),
    ]
    if verdict.repeated:
        says = f"{jobs(len(verdict.repeated))} of {kill.name}, so run again: at least once"
        lines.insert(3, ("ended, not yet recorded", says))
    if kill.wrongly_moved:
        lines.insert(3, ("WRONGLY MOVED", str(kill.wrongly_moved)))
    table = Table(box=None, show_header=False, padding=(0, 2))
    for name, says in lines:
        table.add_row(name, says)
    console.print(table)


def jobs(number: int) -> str:
    """Return a number of jobs in words."""
    return f"{number:,} job" if number == 1 else f"{number:,} jobs"


def count(found: list[str]) -> str:
    """Return how many, with the first few tokens when there are any: none is what is promised."""
    return "0" if not found else f"{len(found)}: {', '.join(found[:3])}"
