"""A producer and a worker at the same time."""

from __future__ import annotations

from bench.side import Side

SECONDS = 8.0
AHEAD_MAX = 5_000
BATCH = 500


def flow(side: Side) -> float:
    """Return jobs done a second while both work."""
    side.fresh()
    with side.workers(1) as workers:
        workers.open_gate()
        return float(side.call("flow", SECONDS, BATCH, AHEAD_MAX)["rate"])
