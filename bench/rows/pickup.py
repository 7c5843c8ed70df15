"""How soon an idle worker starts a job: from the call of submit to the first line of the handler."""

from __future__ import annotations

from bench.side import Side, until

JOBS = 200
GAP_S = 0.02


def pickup(side: Side, share: str = "none") -> tuple[float, float]:
    """Return the median and the 99th percentile in milliseconds."""
    side.fresh()
    words = (JOBS, GAP_S, share) if side.name == "rota" else (JOBS, GAP_S)
    with side.workers(1) as workers:
        workers.open_gate()
        side.call("pickups", *words)
        until("all jobs to be picked up", lambda: len(side.pickups_ms()) == JOBS)
    waited = side.pickups_ms()
    return waited[JOBS // 2], waited[int(JOBS * 0.99)]
