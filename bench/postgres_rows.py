"""The rows of the PostgreSQL table, and what each is to reach."""

from __future__ import annotations

from bench.rows.crowd import beside_hot, crowd, old_snapshot
from bench.rows.hundred import hundred
from bench.rows.idle import idle
from bench.rows.pickup import pickup
from bench.rows.recovery import node_recovery, recovery
from bench.rows.shapes import bulks, calls, drains, flows, singles
from bench.table import Measure, Row, at_least, at_most


def _waits(kind: str) -> Measure:
    return lambda side: crowd(side, kind)


def _hot(kind: str) -> Measure:
    return lambda side: beside_hot(side, kind)


def _recovers(mode: str) -> Measure:
    return lambda side: recovery(side, mode)


POSTGRES_ROWS: dict[str, Row] = {
    "drain1": Row(
        "drain, 1 worker process", "/s",
        {"rota": drains(200_000), "pgqueuer": drains(100_000), "procrastinate": drains(3_000)},
        "45,000 and 1.8 x PgQueuer", at_least(45_000, times=1.8, peer="pgqueuer"),
    ),
    "drain2": Row(
        "drain, 2 worker processes", "/s",
        {"rota": drains(200_000, 2), "pgqueuer": drains(100_000, 2), "procrastinate": drains(3_000, 2)},
        "60,000", at_least(60_000),
    ),
    "bulk": Row(
        "submit, 1,000 a call", "/s",
        {"rota": bulks(200_000), "pgqueuer": bulks(100_000), "procrastinate": bulks(20_000)},
        "80,000", at_least(80_000),
    ),
    "bulk_half": Row("the same, half with a key", "/s", {"rota": bulks(200_000, "half")}, "65,000", at_least(65_000)),
    "bulk_all": Row("the same, all with a key", "/s", {"rota": bulks(200_000, "all")}, "65,000", at_least(65_000)),
    "drain_half": Row(
        "drain, half with one of 10,000 keys", "/s", {"rota": drains(60_000, 1, "half")}, "25,000", at_least(25_000)
    ),
    "drain_all": Row(
        "drain, all with one of 10,000 keys", "/s", {"rota": drains(60_000, 1, "all")}, "15,000", at_least(15_000)
    ),
    "single": Row(
        "submit, one caller (rota: sync)", "/s", {"rota": singles, "pgqueuer": singles, "procrastinate": singles},
        "2,700", at_least(2_700),
    ),
    "callers": Row(
        "submit, 64 async callers", "/s", {"rota": calls, "pgqueuer": calls, "procrastinate": calls},
        "30,000", at_least(30_000),
    ),
    "flow": Row(
        "producer and worker together", "/s", {"rota": flows, "pgqueuer": flows, "procrastinate": flows},
        "30,000", at_least(30_000),
    ),
    "pickup": Row(
        "idle pick-up, p50 / p99", "ms", {"rota": pickup, "pgqueuer": pickup, "procrastinate": pickup},
        "2.5 / 6.0", at_most(2.5, 6.0),
    ),
    "pickup_keyed": Row(
        "idle pick-up with a key, p50 / p99", "ms", {"rota": lambda side: pickup(side, "all")}
    ),
    "waiting": Row(
        "first 20,000 among 1,000,000 waiting", "x, /s, /s", {"rota": _waits("plain"), "pgqueuer": _waits("plain")},
        "0.9 x", at_least(0.9), runs_max=1,
    ),
    "scheduled": Row(
        "20,000 beside 1,000,000 scheduled", "x, /s, /s",
        {"rota": _waits("scheduled"), "pgqueuer": _waits("scheduled")}, "0.9 x", at_least(0.9), runs_max=1,
    ),
    "snapshot": Row(
        "last of 220,000, old snapshot held", "x, /s, /s", {"rota": old_snapshot, "pgqueuer": old_snapshot},
        "0.8 x", at_least(0.8), runs_max=1,
    ),
    "hot_tenth": Row(
        "a tenth with keys, behind 100,000 of a hot one", "x, /s, /s", {"rota": _hot("tenth")}, runs_max=1
    ),
    "hot_half": Row(
        "half with keys, behind 100,000 of a hot one", "x, /s, /s", {"rota": _hot("half")}, runs_max=1
    ),
    "one_key": Row("drain, all with the same key", "/s", {"rota": drains(3_000, 1, "hot")}),
    "large": Row(
        "drain, 10 KiB each", "/s", {"rota": drains(30_000, 1, "large"), "pgqueuer": drains(30_000, 1, "large")}
    ),
    "large_bulk": Row(
        "submit 10 KiB each, 1,000 a call", "/s", {"rota": bulks(30_000, "large"), "pgqueuer": bulks(30_000, "large")}
    ),
    "ranked": Row(
        "drain, three priorities mixed", "/s",
        {"rota": drains(100_000, 1, "ranked"), "pgqueuer": drains(60_000, 1, "ranked")},
    ),
    "idle": Row(
        "idle node with 2 workers", "% of a core, MiB, tx/s",
        {"rota": idle, "pgqueuer": idle, "procrastinate": idle}, "1.0 / 60", at_most(1.0, 60.0), runs_max=1,
    ),
    "recovery": Row(
        "worker killed: first / last job again, how many of", "s",
        {"rota": _recovers("default"), "pgqueuer": _recovers("default"), "procrastinate": _recovers("default")},
        "1.0 / 1.0", at_most(1.0, 1.0), runs_max=1, is_named_only=True,
    ),
    "recovery_best": Row(
        "the same, each at its best settings for it", "s",
        {"rota": _recovers("recovery"), "pgqueuer": _recovers("recovery"), "procrastinate": _recovers("recovery")},
        "1.0 / 1.0", at_most(1.0, 1.0), runs_max=1, is_named_only=True,
    ),
    "recovery_node": Row(
        "one of two nodes killed, the same", "s", {"rota": node_recovery}, "1.0 / 1.0", at_most(1.0, 1.0),
        runs_max=1, is_named_only=True,
    ),
    "hundred": Row(
        "100 workers: pick-up p50 / p99 ms, statements/s of an idle one, fullest share, burst/s", "",
        {"rota": hundred}, "10 / 10", at_most(10.0, 10.0), runs_max=1, is_named_only=True,
    ),
}  # fmt: skip
