"""How fast waiting jobs are run and settled."""

from __future__ import annotations

import time
from collections.abc import Callable

from bench import counters
from bench.side import Side, until


def drain(side: Side, jobs: int, processes: int, preload: Callable[[], object] | None = None) -> float:
    """Return jobs a second, from the first handler's start until the store shows nothing outstanding.

    Args:
        preload: Puts the jobs in; ``None`` for keyless ones.
    """
    side.fresh()
    if preload:
        preload()
    else:
        side.preload(jobs)
    side.checkpoint()
    with side.workers(processes) as workers:
        workers.open_gate()
        until("all jobs to run", lambda: _has_run(side, workers.check, jobs), seconds=300)
        until("all jobs to be settled", lambda: side.outstanding() == 0)
        ended = time.monotonic()
        return jobs / (ended - counters.read(side.counters).first)


def drain_first(side: Side, first: int, preload: Callable[[], object]) -> float:
    """Return jobs a second over the first so many jobs of what was put in, counted at the handlers."""
    side.fresh()
    preload()
    side.checkpoint()
    with side.workers(1) as workers:
        workers.open_gate()
        until("the first jobs to run", lambda: _has_run(side, workers.check, first), seconds=300, every_s=0.001)
        return first / (time.monotonic() - counters.read(side.counters).first)


def _has_run(side: Side, check: Callable[[], None], jobs: int) -> bool:
    check()
    return counters.read(side.counters).count >= jobs
