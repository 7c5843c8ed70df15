"""Every race of the protocol, played out between real sessions: with all guards, and with each guard taken out.

A contract suite with one session is green with every hole of this protocol open.
``python -m tests.postgres.races_table`` prints what went wrong without each guard.
"""

from __future__ import annotations

import pytest

from tests.postgres.case import FAILURES, Case, play
from tests.postgres.races_of_callers import CASES as CALLERS
from tests.postgres.races_of_keys import CASES as KEYS
from tests.postgres.races_of_members import CASES as MEMBERS
from tests.postgres.races_of_tokens import CASES as TOKENS
from tests.postgres.stepper import Mutant
from tests.postgres_server import PostgresServer

CASES = [*CALLERS, *KEYS, *MEMBERS, *TOKENS]
MUTANTS = [(case, mutant) for case in CASES for mutant in case.mutants]

pytestmark = pytest.mark.postgres


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_it_holds(case: Case, server: PostgresServer) -> None:
    """What is promised when these sessions meet."""
    await play(case, server)


@pytest.mark.parametrize(("case", "mutant"), MUTANTS, ids=lambda part: getattr(part, "name", None) or part.guard)
async def test_it_fails_without_its_guard(case: Case, mutant: Mutant, server: PostgresServer) -> None:
    """A case that passes with the guard taken out proves nothing about it."""
    with pytest.raises(FAILURES):
        await play(case, server, mutant)
