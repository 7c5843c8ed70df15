"""What a row of the table is, how it is measured, and how it is printed."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from rich.table import Table

from bench.side import BenchError, Side

Figures = tuple[float, ...]
Measure = Callable[[Any], Figures]
Sides = Mapping[str, Side]
Reached = Callable[[Mapping[str, Figures]], bool]

NEVER = math.inf
"""The figure of what did not come within the time that was given."""


@dataclass(frozen=True)
class Row:
    """One row.

    Attributes:
        title: As it is printed.
        unit: Of the figures, "/s" or "ms" or so.
        measures: How each side is measured, by name; a side that has nothing of the kind is left out.
        reach: What is to be reached, as printed; empty where the figures are only told.
        is_reached: Whether these figures, by side, do.
        runs_max: The most times that it is measured: once for what takes long.
        is_named_only: Whether it is measured only when asked for by name.
    """

    title: str
    unit: str
    measures: Mapping[str, Measure]
    reach: str = ""
    is_reached: Reached = lambda _: True
    runs_max: int = 3
    is_named_only: bool = False


def at_least(rate: float, *, times: float = 0.0, peer: str = "") -> Reached:
    """Ask for so high a first figure, and for so many times a peer's, if it has one."""

    def is_reached(figures: Mapping[str, Figures]) -> bool:
        own, theirs = figures["rota"][0], figures.get(peer)
        return own >= rate and (theirs is None or own >= times * theirs[0])

    return is_reached


def at_most(*limits: float) -> Reached:
    """Ask for figures that are no higher than these."""
    return lambda figures: all(own <= limit for own, limit in zip(figures["rota"], limits, strict=False))


@dataclass(frozen=True)
class Measured:
    """A row with its figures: by side the median of the runs, and all of them.

    Attributes:
        failed: What went wrong, by side.
        notes: What was found besides, by side.
    """

    engine: str
    name: str
    row: Row
    runs: Mapping[str, list[Figures]]
    failed: Mapping[str, str] = field(default_factory=dict)
    notes: Mapping[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def figures(self) -> dict[str, Figures]:
        """The median of each figure."""
        return {side: middle(runs) for side, runs in self.runs.items() if runs}

    @property
    def is_reached(self) -> bool:
        """Whether the row reaches what it should."""
        return "rota" in self.figures and self.row.is_reached(self.figures)

    def told(self, side: str) -> str:
        """Return a side's figures as printed."""
        if side in self.failed:
            return "failed"
        return " / ".join(map(told, self.figures.get(side, ()))) or "-"

    def ratio(self, peers: list[str]) -> str:
        """Return how many times the best peer's rate rota's is."""
        best = max((self.figures[peer][0] for peer in peers if peer in self.figures), default=0.0)
        own = self.figures.get("rota")
        return f"{own[0] / best:.1f} x" if own and best and self.row.unit.startswith("/s") else ""

    def as_json(self) -> dict[str, Any]:
        """Return all of it for the file; what never came is null."""
        return {
            "engine": self.engine,
            "name": self.name,
            "title": self.row.title,
            "unit": self.row.unit,
            "figures": {side: known(figures) for side, figures in self.figures.items()},
            "runs": {side: [known(figures) for figures in runs] for side, runs in self.runs.items()},
            "to_reach": self.row.reach,
            "is_reached": self.is_reached,
            "failed": dict(self.failed),
            "notes": dict(self.notes),
        }


def measure(engine: str, name: str, row: Row, sides: Sides, runs: int) -> Measured:
    """Measure one row, the sides taking turns. What fails for one side is told, and the others go on."""
    measured = Measured(engine, name, row, {side: [] for side in row.measures if side in sides}, {}, {})
    failed, notes = dict[str, str](), dict[str, dict[str, Any]]()
    for _ in range(min(runs, row.runs_max)):
        for side, figures in measured.runs.items():
            if side in failed:
                continue
            sides[side].notes = {}
            try:
                figures.append(row.measures[side](sides[side]))
            except BenchError as error:
                failed[side] = str(error)
            if sides[side].notes:
                notes[side] = sides[side].notes
    return Measured(engine, name, row, measured.runs, failed, notes)


def table_of(title: str, measured: list[Measured], names: Mapping[str, str]) -> Table:
    """Return one engine's table as printed.

    Args:
        names: How each side is called, by its name; rota first.
    """
    table = Table(title=title, title_justify="left")
    peers = [side for side in names if side != "rota"]
    for heading in ("", *names.values(), "rota / best", "unit", "to reach", "reached"):
        is_figure = heading not in {"", "unit", "reached"}
        table.add_column(heading, justify="right" if is_figure else "left")
    for one in measured:
        reached = ("yes" if one.is_reached else "NO") if one.row.reach else ""
        table.add_row(
            one.row.title, *map(one.told, names), one.ratio(peers), one.row.unit, one.row.reach or "(told)", reached
        )
    return table


def middle(runs: list[Figures]) -> Figures:
    """Return the median of each figure."""
    return tuple(median(figures) for figures in zip(*runs, strict=True))


def known(figures: Figures) -> list[float | None]:
    """Return figures for a JSON file, which has no infinity."""
    return [None if figure == NEVER else figure for figure in figures]


def told(figure: float) -> str:
    """Return a figure with as many digits as mean something."""
    if figure == NEVER:
        return "never"
    return f"{figure:,.0f}" if figure >= 100 or figure == int(figure) else f"{figure:.2f}"
