"""A lost reply: the jobs may be in the store or not, and must end up in it once."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from rota.errors import OutcomeUnknownError, StoreBusyError
from rota.model.job import NewJob
from rota.runtime.entropy import build_token
from rota.store.port import Submitted
from rota.submit.send import send
from rota.submit.terms import Terms, new_job

JOBS = [
    new_job("bake", b"{}", None, build_token(1, tail), Terms(queue="ovens"), due_at=None, expires_at=None)
    for tail in (1, 2)
]


class LossyIntake:
    """Takes jobs and loses the first replies, as a broken connection does; counts what it was asked."""

    def __init__(self, losses: int) -> None:
        self.losses = losses
        self.asked: list[Sequence[NewJob]] = []
        self.paused: list[float] = []

    async def submit(self, jobs: Sequence[NewJob]) -> Submitted:
        self.asked.append(jobs)
        if len(self.asked) <= self.losses:
            raise OutcomeUnknownError("the connection was closed")
        return Submitted(frozenset(), ())

    async def pause(self, seconds: float) -> None:
        self.paused.append(seconds)


async def test_a_lost_reply_is_asked_again_with_the_same_tokens() -> None:
    """The store leaves alone what it knows; it must look for them this time, so they are no longer fresh."""
    intake = LossyIntake(losses=2)

    await send(intake, JOBS, intake.pause)  # type: ignore[arg-type]

    assert [[job.token for job in jobs] for jobs in intake.asked] == [[job.token for job in JOBS]] * 3
    assert [[job.is_fresh for job in jobs] for jobs in intake.asked] == [[True, True], [False, False], [False, False]]
    assert intake.paused == [0.0, 0.05]


async def test_when_every_reply_is_lost_the_caller_gets_the_tokens() -> None:
    """With them it can ask again later, as often as it takes."""
    intake = LossyIntake(losses=99)

    with pytest.raises(OutcomeUnknownError, match="stored all or none") as caught:
        await send(intake, JOBS, intake.pause)  # type: ignore[arg-type]

    assert len(caught.value.facts["tokens"]) == 2
    assert len(intake.asked) == 5


async def test_a_refusal_after_a_lost_reply_says_nothing_of_the_first_try() -> None:
    """The jobs may be in: whoever is told that nothing was written would submit them again, under other tokens."""

    class ThenBusyIntake(LossyIntake):
        async def submit(self, jobs: Sequence[NewJob]) -> Submitted:
            self.asked.append(jobs)
            raise OutcomeUnknownError("closed") if len(self.asked) == 1 else StoreBusyError("locked for 10 s")

    intake = ThenBusyIntake(losses=0)

    with pytest.raises(OutcomeUnknownError, match="locked for 10 s"):
        await send(intake, JOBS, intake.pause)  # type: ignore[arg-type]

    assert len(intake.asked) == 5


async def test_what_was_certainly_not_done_is_not_asked_again() -> None:
    """A busy store has waited already; the caller decides."""

    class BusyIntake(LossyIntake):
        async def submit(self, jobs: Sequence[NewJob]) -> Submitted:
            self.asked.append(jobs)
            raise StoreBusyError("locked for 10 s")

    intake = BusyIntake(losses=0)

    with pytest.raises(StoreBusyError):
        await send(intake, JOBS, intake.pause)  # type: ignore[arg-type]

    assert len(intake.asked) == 1
