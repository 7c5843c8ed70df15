"""How fast jobs are accepted."""

from __future__ import annotations

from bench.side import Side


def bulk(side: Side, jobs: int, kind: str = "plain") -> float:
    """Return jobs a second of one caller who submits 1,000 a call, for those who have such a call."""
    side.fresh()
    return float(side.call("bulk", jobs, 1_000, kind)["rate"])


def single(side: Side, seconds: float = 3.0) -> float:
    """Return jobs a second of one caller who waits for each; the call is synchronous where there is such a one."""
    side.fresh()
    return side.single(seconds)


def callers(side: Side, seconds: float = 3.0) -> float:
    """Return jobs a second of 64 asynchronous callers who wait for each."""
    side.fresh()
    return float(side.call("callers", seconds)["rate"])
