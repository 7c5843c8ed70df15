"""Try every mutant, print the table and write the page: ``make mutants``. With names, try and print only these."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from scripts.postgres_server import NoServerError
from tests.mutants.kill import Death, kill
from tests.mutants.mutant import Mutant, Seeds, copy_with
from tests.mutants.page import Row, table, write
from tests.mutants.table import MUTANTS
from tests.postgres.case import FAILURES, play
from tests.postgres.test_races import MUTANTS as GUARDS
from tests.postgres_server import shared_server


def main(names: Sequence[str]) -> int:
    """Return 0 if every mutant was killed."""
    began = time.monotonic()
    wanted = [mutant for mutant in MUTANTS if not names or mutant.name in names]
    # The source as it is now: somebody may go on working on it.
    with tempfile.TemporaryDirectory(prefix="rota-source-") as folder, ThreadPoolExecutor(os.cpu_count()) as threads:
        copy_with((), Path(folder))
        rows = []
        for mutant, death in zip(wanted, threads.map(partial(kill, source=Path(folder)), wanted), strict=True):
            row = _row(mutant, death)
            rows.append((mutant, row))
            print(f"{mutant.name:<32} {row.by or 'SURVIVED'}  ({row.after})", flush=True)
    guards = [] if names else list(_guards())
    total = len(rows) + len(guards)
    killed = sum(bool(row.by) for _, row in rows) + sum(bool(row.by) for row in guards)
    print(f"{killed} of {total} killed, {time.monotonic() - began:.0f} s")
    if not names:
        by_seeds = [row for mutant, row in rows if isinstance(mutant.killer, Seeds)]
        by_tests = [row for mutant, row in rows if not isinstance(mutant.killer, Seeds)]
        tables = [
            table("By histories of the simulation", "Mistake", by_seeds),
            table("By tests", "Mistake", by_tests),
            table("By sessions of PostgreSQL, step by step", "Guard that is taken out", guards),
        ]
        write(tables, f"{killed} of {total} were killed.")
    return 0 if killed == total else 1


def _row(mutant: Mutant, death: Death) -> Row:
    after = f"{death.after} {death.unit if death.after > 1 else death.unit.removesuffix('s')}"
    if isinstance(mutant.killer, Seeds):
        after += f" of at most {mutant.killer.up_to}"
        after += f", policy {mutant.killer.policy}" if mutant.killer.policy else ""
    else:
        after += ": " + ", ".join(f"`{where}`" for where in mutant.killer.where.split())
    return Row(mutant.says, death.by, after)


def _guards() -> Iterator[Row]:
    """Play each race with each of its guards taken out."""
    try:
        server = shared_server()
    except NoServerError as problem:
        print(f"guards of PostgreSQL were NOT tried: {problem}")
        return
    for case, guard in GUARDS:
        by = ""
        try:
            asyncio.run(play(case, server, guard))
        except FAILURES:
            by = case.name
        except Exception as problem:  # A mistake in the mutant, or in the case: nobody's credit.
            print(f"{case.name} fails of itself: {problem}")
        print(f"{guard.guard}: {by or 'SURVIVED'}", flush=True)
        yield Row(guard.guard, by, "its own case")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
