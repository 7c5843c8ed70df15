"""How fast waiting jobs are run and settled."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial

from bench import counters
from bench.side import Side, until

GIVE_UP_S = 300.0


def drain(side: Side, jobs: int, processes: int = 1, kind: str = "plain") -> float:
    """Return jobs a second, from the first handler's start until the store shows nothing outstanding."""
    side.fresh()
    side.preload(jobs, kind)
    side.checkpoint()
    with side.workers(processes) as workers:
        workers.open_gate()
        until("all jobs to run", lambda: _has_run(side, workers.check, jobs), seconds=GIVE_UP_S)
        until("all jobs to be settled", lambda: side.outstanding() == 0)
        ended = time.monotonic()
        return jobs / (ended - counters.read(side.counters).first)


def drain_first(side: Side, first: int, preload: Callable[[], object]) -> float:
    """Return jobs a second over the first so many jobs of what was put in, counted at the handlers."""
    return drain_by_marks(side, [first], preload)[0]


def drain_by_marks(side: Side, marks: Sequence[int], preload: Callable[[], object]) -> list[float]:
    """Return jobs a second up to each mark from the one before, counted at the handlers; the rest is left undone."""
    side.fresh()
    preload()
    side.checkpoint()
    with side.workers(1) as workers:
        workers.open_gate()
        times: list[float] = []
        for mark in marks:
            has_run = partial(_has_run, side, workers.check, mark)
            until(f"{mark:,} jobs to run", has_run, seconds=GIVE_UP_S, every_s=0.001)
            times.append(time.monotonic())
        starts = [counters.read(side.counters).first, *times]
    before = [0, *marks]
    return [(mark - last) / (end - start) for mark, last, start, end in zip(marks, before, starts, times, strict=False)]


def _has_run(side: Side, check: Callable[[], None], jobs: int) -> bool:
    check()
    return counters.read(side.counters).count >= jobs
