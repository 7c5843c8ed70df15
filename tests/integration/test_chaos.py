"""A minute of the chaos that `make chaos` makes for as long as one likes, on each engine."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.run import Plan, run
from tests.postgres_server import binaries_or_skip

MINUTES = 0.75
"""With what comes before and after it, a minute."""
SLACK = 60.0
"""How much longer than promised it may take here: times are measured by hand, on a quiet machine. That it happens is tested."""
SEED = 35
"""One that begins with the death of a worker on either engine: on a slow machine not every kind has its turn."""


@pytest.mark.slow(seconds=60)
@pytest.mark.parametrize("engine", ["sqlite", "postgres"])
async def test_nothing_is_lost_doubled_or_out_of_order(engine: str, tmp_path: Path) -> None:
    """The whole product at once: nodes under load, every kind of fault, and truths judged from what the handlers wrote."""
    if engine == "postgres":
        binaries_or_skip()
    plan = Plan(engine=engine, minutes=MINUTES, nodes=2, rate=120, keys=200, slack=SLACK, seed=SEED)

    report = await run(plan, tmp_path)

    assert report.broken == [], "\n".join(report.lines())
    assert report.counts["succeeded"] + report.counts["condemned"] == report.counts["jobs"] > 1_000
    assert report.counts["worker_kills"] > 0
