"""The rows of the SQLite table, and what each is to reach."""

from __future__ import annotations

from collections.abc import Mapping

from bench.rows.crowd import crowd
from bench.rows.idle import idle
from bench.rows.pickup import pickup
from bench.rows.recovery import node_recovery, recovery
from bench.rows.shapes import bulks, calls, drains, flows, singles
from bench.table import Figures, Row, at_least, at_most


def _is_as_fast_as_huey(figures: Mapping[str, Figures]) -> bool:
    return "huey" not in figures or figures["rota"][0] >= figures["huey"][0]


SQLITE_ROWS: dict[str, Row] = {
    "drain1": Row(
        "drain, 1 worker process", "/s",
        {"rota": drains(200_000), "huey": drains(10_000)}, "60,000", at_least(60_000),
    ),
    "drain2": Row(
        "drain, 2 worker processes", "/s",
        {"rota": drains(200_000, 2), "huey": drains(10_000, 2)}, "70,000", at_least(70_000),
    ),
    "bulk": Row(
        "submit, 1,000 a call", "/s", {"rota": bulks(200_000), "huey": bulks(10_000)}, "150,000", at_least(150_000)
    ),
    "bulk_half": Row("the same, half with a key", "/s", {"rota": bulks(200_000, "half")}, "100,000", at_least(100_000)),
    "bulk_all": Row("the same, all with a key", "/s", {"rota": bulks(200_000, "all")}, "100,000", at_least(100_000)),
    "drain_half": Row(
        "drain, half with one of 10,000 keys", "/s", {"rota": drains(60_000, 1, "half")}, "30,000", at_least(30_000)
    ),
    "drain_all": Row(
        "drain, all with one of 10,000 keys", "/s", {"rota": drains(60_000, 1, "all")}, "15,000", at_least(15_000)
    ),
    "single": Row(
        "submit, one sync caller", "/s", {"rota": singles, "huey": singles}, "1.0 x Huey", _is_as_fast_as_huey
    ),
    "callers": Row("submit, 64 async callers", "/s", {"rota": calls}, "40,000", at_least(40_000)),
    "flow": Row(
        "producer and worker together", "/s", {"rota": flows, "huey": flows}, "40,000", at_least(40_000)
    ),
    "pickup": Row(
        "idle pick-up, p50 / p99", "ms", {"rota": pickup, "huey": pickup}, "1.0 / 3.0", at_most(1.0, 3.0)
    ),
    "pickup_keyed": Row(
        "idle pick-up with a key, p50 / p99", "ms", {"rota": lambda side: pickup(side, "all")}
    ),
    "waiting": Row(
        "first 20,000 among 1,000,000 waiting", "x, /s, /s", {"rota": lambda side: crowd(side, "plain")},
        "0.9 x", at_least(0.9),
    ),
    "scheduled": Row(
        "20,000 beside 1,000,000 scheduled", "x, /s, /s", {"rota": lambda side: crowd(side, "scheduled")},
        "0.9 x", at_least(0.9),
    ),
    "idle": Row(
        "idle node with 2 workers", "% of a core, MiB", {"rota": idle, "huey": idle}, "1.0 / 60",
        at_most(1.0, 60.0), runs_max=1,
    ),
    "recovery": Row(
        "worker killed: first / last job again, how many of", "s",
        {"rota": lambda side: recovery(side, "default"), "huey": lambda side: recovery(side, "default")},
        "1.0 / 1.0", at_most(1.0, 1.0), runs_max=1, is_named_only=True,
    ),
    "recovery_node": Row(
        "one of two nodes killed, the same", "s", {"rota": node_recovery}, "1.0 / 1.0", at_most(1.0, 1.0),
        runs_max=1, is_named_only=True,
    ),
}  # fmt: skip
