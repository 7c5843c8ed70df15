"""Print each race, the guard taken out, and what went wrong: ``python -m tests.postgres.races_table``."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator

from tests.postgres.case import FAILURES, Case, play
from tests.postgres.stepper import Mutant
from tests.postgres.test_races import CASES
from tests.postgres_server import PostgresServer, shared_server


def rows(server: PostgresServer) -> Iterator[tuple[Case, Mutant | None, str | None]]:
    """Play everything and yield what went wrong; ``None`` where nothing did."""
    for case in CASES:
        for mutant in (None, *case.mutants):
            yield case, mutant, asyncio.run(_problem(case, mutant, server))


async def _problem(case: Case, mutant: Mutant | None, server: PostgresServer) -> str | None:
    try:
        await play(case, server, mutant)
    except FAILURES as problem:
        return next(iter(str(problem).splitlines()), type(problem).__name__)
    return None


def main() -> int:
    """Print the table and return 0 if every case holds with its guards and fails without each."""
    is_right = True
    for case, mutant, problem in rows(shared_server()):
        is_right &= (problem is None) == (mutant is None)
        if mutant is None:
            print(f"\n{case.name}\n    with all guards: {problem or 'holds'}")
        else:
            print(f"    taken out: {mutant.guard}\n         then: {problem or 'STILL HOLDS'}")
    return 0 if is_right else 1


if __name__ == "__main__":
    sys.exit(main())
