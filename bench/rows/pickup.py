"""How soon an idle worker starts a job: from the call of submit to the first line of the handler."""

from __future__ import annotations

import time

from bench.side import Side, until

JOBS = 200
GAP_S = 0.02
REST_S = 2.0
"""Time for workers to become idle: what they do after their start is not what is measured."""


def pickup(side: Side, kind: str = "plain") -> tuple[float, float]:
    """Return the median and the 99th percentile in milliseconds."""
    side.fresh()
    with side.workers(1) as workers:
        workers.open_gate()
        time.sleep(REST_S)
        return pickups(side, kind)


def pickups(side: Side, kind: str = "plain", jobs: int = JOBS) -> tuple[float, float]:
    """Submit one job now and then to those who are there; return the same."""
    side.call("pickups", jobs, GAP_S, kind)
    until("all jobs to be picked up", lambda: len(side.pickups_ms()) == jobs)
    waited = side.pickups_ms()
    return waited[jobs // 2], waited[int(jobs * 0.99)]
