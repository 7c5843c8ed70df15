"""The rows by name, what each is to reach, and how the table is printed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

from bench.huey_side import HueySide
from bench.rota_side import RotaSide
from bench.rows.drain import drain, drain_first
from bench.rows.flow import flow
from bench.rows.idle import idle
from bench.rows.pickup import pickup

Figures = tuple[float, ...]


@dataclass(frozen=True)
class Row:
    """One row.

    Attributes:
        title: As it is printed.
        unit: Of the figures, "/s" or "ms" or so.
        rota: Measures rota.
        huey: Measures Huey; ``None`` where it has nothing of the kind.
        reach: What is to be reached, as printed.
        is_reached: Whether these figures of rota, beside those of Huey, do.
        runs_max: The most times that it is measured: once for what takes long.
    """

    title: str
    unit: str
    rota: Callable[[RotaSide], Figures]
    huey: Callable[[HueySide], Figures] | None
    reach: str
    is_reached: Callable[[Figures, Figures], bool]
    runs_max: int = 3


def at_least(rate: float) -> Callable[[Figures, Figures], bool]:
    """Ask for so high a first figure."""
    return lambda rota, _: rota[0] >= rate


def keyed_drain(share: str, jobs: int = 60_000) -> Callable[[RotaSide], Figures]:
    """Measure a drain of jobs of which so many have one of 10,000 keys."""
    return lambda side: (drain(side, jobs, 1, lambda: side.call("bulk", jobs, 1_000, share, 0)),)


def bulk(share: str, jobs: int = 200_000) -> Callable[[RotaSide], Figures]:
    """Measure submitting 1,000 a call."""

    def measure(side: RotaSide) -> Figures:
        side.fresh()
        return (float(side.call("bulk", jobs, 1_000, share, 0)["rate"]),)

    return measure


def huey_bulk(side: HueySide) -> Figures:
    """Measure Huey's submits; it has no call for many."""
    side.fresh()
    return (float(side.call("bulk", 10_000)["rate"]),)


def single(side: RotaSide | HueySide) -> Figures:
    """Measure one synchronous caller."""
    side.fresh()
    return (side.single(3.0),)


def callers(side: RotaSide) -> Figures:
    """Measure 64 asynchronous callers."""
    side.fresh()
    return (float(side.call("callers", 3.0)["rate"]),)


FEW, MANY = 20_000, 1_000_000


def crowd(delay_s: int) -> Callable[[RotaSide], Figures]:
    """Measure the first 20,000 jobs with a million others waiting, or scheduled for later; then the same without them.

    Returns the ratio, then the two rates.
    """

    def measure(side: RotaSide) -> Figures:
        def among_many() -> None:
            side.preload(FEW)
            side.call("bulk", MANY, 10_000, "none", delay_s)

        crowded = drain_first(side, FEW, among_many)
        empty = drain_first(side, FEW, lambda: side.preload(FEW))
        return crowded / empty, crowded, empty

    return measure


ROWS: dict[str, Row] = {
    "drain1": Row(
        "drain, 1 worker process", "/s",
        lambda side: (drain(side, 200_000, 1),), lambda side: (drain(side, 10_000, 1),),
        "60,000", at_least(60_000),
    ),
    "drain2": Row(
        "drain, 2 worker processes", "/s",
        lambda side: (drain(side, 200_000, 2),), lambda side: (drain(side, 10_000, 2),),
        "70,000", at_least(70_000),
    ),
    "bulk": Row("submit, 1,000 a call", "/s", bulk("none"), huey_bulk, "150,000", at_least(150_000)),
    "bulk_half": Row("the same, half with a key", "/s", bulk("half"), None, "100,000", at_least(100_000)),
    "bulk_all": Row("the same, all with a key", "/s", bulk("all"), None, "100,000", at_least(100_000)),
    "drain_half": Row("drain, half with one of 10,000 keys", "/s", keyed_drain("half"), None, "30,000", at_least(30_000)),
    "drain_all": Row("drain, all with one of 10,000 keys", "/s", keyed_drain("all"), None, "15,000", at_least(15_000)),
    "single": Row(
        "submit, one sync caller", "/s", single, single, "1.0 x Huey", lambda rota, huey: rota[0] >= huey[0]
    ),
    "callers": Row("submit, 64 async callers", "/s", callers, None, "40,000", at_least(40_000)),
    "flow": Row(
        "producer and worker together", "/s",
        lambda side: (flow(side),), lambda side: (flow(side),), "40,000", at_least(40_000),
    ),
    "pickup": Row(
        "idle pick-up, p50 / p99", "ms", pickup, pickup, "1.0 / 3.0", lambda rota, _: rota[0] <= 1 and rota[1] <= 3
    ),
    "pickup_keyed": Row(
        "idle pick-up with a key, p50 / p99", "ms", lambda side: pickup(side, "all"), None, "(told)", lambda *_: True
    ),
    "waiting": Row(
        "first 20,000 among 1,000,000 waiting", "x, /s, /s", crowd(0), None, "0.9 x", at_least(0.9)
    ),
    "scheduled": Row(
        "20,000 beside 1,000,000 scheduled", "x, /s, /s", crowd(3_600), None, "0.9 x", at_least(0.9)
    ),
    "idle": Row(
        "idle node with 2 workers", "% of a core, MiB", idle, idle, "1.0 / 60",
        lambda rota, _: rota[0] <= 1 and rota[1] <= 60, runs_max=1,
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Measured:
    """A row with its figures: the median of the runs, and all of them."""

    name: str
    rota: Figures
    huey: Figures
    rota_runs: list[Figures]
    huey_runs: list[Figures]

    @property
    def row(self) -> Row:
        """What was measured."""
        return ROWS[self.name]

    @property
    def is_reached(self) -> bool:
        """Whether the row reaches what it should."""
        return self.row.is_reached(self.rota, self.huey)

    def cells(self) -> list[str]:
        """Return the row as printed."""
        is_rate = self.row.unit == "/s" and bool(self.huey)
        return [
            self.row.title,
            " / ".join(map(told, self.rota)),
            " / ".join(map(told, self.huey)) or "-",
            f"{self.rota[0] / self.huey[0]:.1f} x" if is_rate else "",
            self.row.unit,
            self.row.reach,
            "yes" if self.is_reached else "NO",
        ]


def measure(name: str, rota: RotaSide, huey: HueySide, runs: int) -> Measured:
    """Measure one row, the two sides taking turns."""
    row = ROWS[name]
    rota_runs, huey_runs = [], []
    for _ in range(min(runs, row.runs_max)):
        rota_runs.append(row.rota(rota))
        if row.huey:
            huey_runs.append(row.huey(huey))
    return Measured(name, middle(rota_runs), middle(huey_runs), rota_runs, huey_runs)


def middle(runs: list[Figures]) -> Figures:
    """Return the median of each figure."""
    return tuple(median(figures) for figures in zip(*runs, strict=True))


def told(figure: float) -> str:
    """Return a figure with as many digits as mean something."""
    return f"{figure:,.0f}" if figure >= 100 else f"{figure:.2f}"
