"""A short run of the chaos that `python -m tests.chaos.run` makes for as long as one likes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.run import Plan, run

PATIENCE_S = 20.0
"""Far above what is promised: how long it takes is measured by hand, on a quiet machine. That it happens is tested here."""


@pytest.mark.slow
async def test_nothing_is_lost_doubled_or_out_of_order_while_processes_are_killed_and_stopped(tmp_path: Path) -> None:
    """The whole product at once: two nodes under load, and every truth judged from what the handlers themselves wrote."""
    plan = Plan(
        jobs=3_000,
        keys=100,
        rate=500,
        nodes=2,
        processes=2,
        concurrency=2,
        worker_kills=4,
        supervisor_kills=2,
        supervisor_stops=1,
        gap_s=0.4,
        stop_s=0.5,
        recovery_s_max=PATIENCE_S,
        stopped_s_max=PATIENCE_S,
    )

    report = await run(plan, tmp_path)

    assert report.broken == [], "\n".join(report.lines())
    assert report.counts["succeeded"] == plan.jobs
    assert report.counts["worker_kills"] + report.counts["supervisor_kills"] + report.counts["supervisor_stops"] == 7
