"""What those who wait, and those who look on, cost the jobs that are run."""

from __future__ import annotations

from contextlib import ExitStack

from bench.rows.drain import drain_by_marks, drain_first
from bench.side import Side
from bench.table import Figures

FEW, MANY, HOT = 20_000, 1_000_000, 100_000
LINE, BUCKET = 220_000, 20_000


def crowd(side: Side, kind: str) -> Figures:
    """Measure the first 20,000 jobs with a million others waiting, or scheduled for later; then the same without them.

    Returns the ratio, then the two rates.
    """

    def among_many() -> None:
        side.preload(FEW)
        side.call("bulk", MANY, 10_000, kind)

    crowded = drain_first(side, FEW, among_many)
    empty = drain_first(side, FEW, lambda: side.preload(FEW))
    return crowded / empty, crowded, empty


def beside_hot(side: Side, kind: str, jobs: int = 60_000) -> Figures:
    """Measure jobs of which some have a key, behind 100,000 of one key, which must go one by one; then without those.

    Returns the ratio, then the two rates.
    """

    def behind_hot() -> None:
        side.preload(HOT, "hot")
        side.preload(jobs, kind)

    beside = drain_first(side, jobs, behind_hot)
    without = drain_first(side, jobs, lambda: side.preload(jobs, kind))
    return beside / without, beside, without


def old_snapshot(side: Side) -> Figures:
    """Measure the last of 220,000 jobs while another session holds a snapshot from before the first; then without it.

    Returns the ratio, then the two rates.
    """
    marks = range(BUCKET, LINE + 1, BUCKET)
    rates = {}
    for is_held in (True, False):
        with ExitStack() as stack:

            def preload(is_held: bool = is_held, stack: ExitStack = stack) -> None:
                side.preload(LINE)
                side.checkpoint()
                if is_held and side.database is not None:
                    stack.enter_context(side.database.old_snapshot())

            rates[is_held] = drain_by_marks(side, marks, preload)
    side.notes = {"held": [round(rate) for rate in rates[True]], "not held": [round(rate) for rate in rates[False]]}
    return rates[True][-1] / rates[False][-1], rates[True][-1], rates[False][-1]
