"""`make bench`: measure, print the tables, write them down as JSON."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from bench import machine
from bench.engines import ENGINES, Engine, sides_of
from bench.side import BenchError
from bench.table import Measured, measure, table_of
from scripts.postgres_server import NoServerError

ROOT = Path(__file__).resolve().parents[1]
SCRATCH = ROOT / "build" / "bench"
"""On the same disk as the checkout: a RAM disk would flatter the fsync."""


def main() -> int:
    """Measure the rows that were asked for, or all."""
    wanted = [name for word in sys.argv[1:] for name in word.split(",") if name]
    engines = chosen(os.environ.get("ENGINE") or "all")
    known = {name for engine in engines for name in engine.rows}
    if not engines or (unknown := [name for name in wanted if name not in known]):
        print("ENGINE is all, " + " or ".join(ENGINES), file=sys.stderr) if not engines else print(
            f"No row named {', '.join(unknown)}. There are: {', '.join(sorted(known))}", file=sys.stderr
        )
        return 2
    runs = int(os.environ.get("RUNS") or "3")
    facts = machine.facts()
    console = Console(width=None if sys.stdout.isatty() else 160, highlight=False)
    console.print(" · ".join(f"{name} {value}" for name, value in facts.items()))
    measured: list[Measured] = []
    for engine in engines:
        try:
            measured += run_engine(engine, wanted, runs, console, facts)
        except NoServerError as problem:
            console.print(f"{engine.title} was NOT measured: {problem}", style="red")
            if len(engines) == 1:
                return 1
    console.print(f"written to {write_down(facts, measured, runs).relative_to(ROOT)}")
    return 1 if any(one.failed for one in measured) else 0


def chosen(name: str) -> Sequence[Engine]:
    """Return the engines that are meant by a name; none if nobody is called so."""
    return list(ENGINES.values()) if name == "all" else [ENGINES[name]] if name in ENGINES else []


def run_engine(
    engine: Engine, wanted: Sequence[str], runs: int, console: Console, facts: dict[str, str]
) -> list[Measured]:
    """Measure one engine's rows and print its table.

    Raises:
        NoServerError: It needs a server, and there is none.
    """
    names = [name for name, row in engine.rows.items() if (name in wanted if wanted else not row.is_named_only)]
    if not names:
        return []
    measured = []
    with sides_of(engine, SCRATCH / engine.name) as sides:
        own = machine.facts_of(sides)
        facts.update(own)
        console.print(" · ".join(f"{name} {value}" for name, value in own.items()))
        for name in names:
            began = time.monotonic()
            one = measure(engine.name, name, engine.rows[name], sides, runs)
            measured.append(one)
            told = ", ".join(f"{engine.names[side]} {one.told(side)}" for side in one.runs)
            console.print(f"  {name}: {told} in {time.monotonic() - began:.0f} s", style="dim")
            for side, problem in one.failed.items():
                console.print(f"    {side} failed: {problem}", style="red", markup=False)
            for side, notes in one.notes.items():
                for note, value in notes.items():
                    console.print(f"    {side} {note}: {value}", style="dim", markup=False)
    shutil.rmtree(SCRATCH / engine.name, ignore_errors=True)
    title = f"{engine.title}, durable, no-op jobs of about 200 bytes; median of {runs}"
    console.print(table_of(title, measured, engine.names))
    return measured


def write_down(facts: dict[str, str], measured: list[Measured], runs: int) -> Path:
    """Write all figures as JSON, named by date and commit; return where."""
    folder = ROOT / "bench" / "results"
    folder.mkdir(parents=True, exist_ok=True)
    stamp = facts["date"].replace(" UTC", "").replace(" ", "T").replace(":", "")
    path = folder / f"{stamp}-{facts['commit'].rstrip('+')}.json"
    path.write_text(
        json.dumps({"machine": facts, "runs": runs, "rows": [one.as_json() for one in measured]}, indent=1) + "\n"
    )
    return path


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BenchError as error:
        sys.exit(str(error))
