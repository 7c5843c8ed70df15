"""A case: what must hold when sessions meet, and the guards without which it does not."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from msgspec import structs

from rota.errors import StoreBusyError
from rota.model.job import NewJob
from tests.postgres.stepper import Mutant, Stage, gated_schema
from tests.postgres_server import PostgresServer

Script = Callable[[Stage], Awaitable[None]]

FAILURES = (AssertionError, StoreBusyError)
"""How a case fails when its guard is out: by its own words, or by a deadlock. A mistake in the mutant's SQL is neither."""


@dataclass(frozen=True)
class Case:
    """A script and the mutants under which it must fail."""

    name: str
    script: Script
    mutants: tuple[Mutant, ...]


def case(*mutants: Mutant) -> Callable[[Script], Case]:
    """Make a script a case. Its docstring says why it matters; its name is the promise."""

    def decorate(script: Script) -> Case:
        return Case(script.__name__.replace("_", " "), script, mutants)

    return decorate


def fresh(job: NewJob) -> NewJob:
    """Return the job as its maker submits it first: with a token that nobody has seen, on the short way in."""
    return structs.replace(job, is_fresh=True)


async def play(case: Case, server: PostgresServer, mutant: Mutant | None = None) -> None:
    """Play a case from its beginning, with a guard taken out or with all in place."""
    async with Stage(server.url, gated_schema(server), mutant) as stage:
        await case.script(stage)
