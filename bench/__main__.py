"""`make bench`: measure, print the table, write it down as JSON."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench import machine
from bench.huey_side import HueySide
from bench.rota_side import RotaSide
from bench.table import ROWS, Measured, measure

ROOT = Path(__file__).resolve().parents[1]
HEADINGS = ("", "rota", "Huey", "rota / Huey", "unit", "to reach", "reached")


def main() -> int:
    """Measure the rows that were asked for, or all."""
    names = [name for word in sys.argv[1:] for name in word.split(",") if name] or list(ROWS)
    if unknown := [name for name in names if name not in ROWS]:
        print(f"No row named {', '.join(unknown)}. There are: {', '.join(ROWS)}", file=sys.stderr)
        return 2
    runs = int(os.environ.get("RUNS", "3"))
    facts = machine.facts()
    console = Console(width=None if sys.stdout.isatty() else 140, highlight=False)
    console.print(" · ".join(f"{name} {value}" for name, value in facts.items()))

    scratch = ROOT / "build" / "bench"  # on the same disk as the checkout: a RAM disk would flatter the fsync
    rota, huey = RotaSide(scratch / "rota"), HueySide(scratch / "huey")
    measured = []
    for name in names:
        began = time.monotonic()
        measured.append(measure(name, rota, huey, runs))
        console.print(f"  {name}: {measured[-1].cells()[1:3]} in {time.monotonic() - began:.0f} s", style="dim")
    shutil.rmtree(scratch, ignore_errors=True)

    console.print(table_of(measured, runs))
    console.print(f"written to {write_down(facts, measured, runs).relative_to(ROOT)}")
    return 0


def table_of(measured: list[Measured], runs: int) -> Table:
    """Return the table as printed."""
    table = Table(title=f"SQLite, durable, no-op jobs of about 200 bytes; median of {runs}", title_justify="left")
    for number, heading in enumerate(HEADINGS):
        table.add_column(heading, justify="right" if number in {1, 2, 3, 5} else "left")
    for row in measured:
        table.add_row(*row.cells())
    return table


def write_down(facts: dict[str, str], measured: list[Measured], runs: int) -> Path:
    """Write all figures as JSON, named by date and commit; return where."""
    folder = ROOT / "bench" / "results"
    folder.mkdir(parents=True, exist_ok=True)
    stamp = facts["date"].replace(" UTC", "").replace(" ", "T").replace(":", "")
    path = folder / f"{stamp}-{facts['commit'].rstrip('+')}.json"
    rows = [dataclasses.asdict(row) | {"title": row.row.title, "unit": row.row.unit} for row in measured]
    path.write_text(json.dumps({"machine": facts, "runs": runs, "rows": rows}, indent=1) + "\n")
    return path


if __name__ == "__main__":
    sys.exit(main())
