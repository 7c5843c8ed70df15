"""What became of a claimed job, as a worker hands it to the store."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from rota.model.job import ClaimedJob
from rota.model.outcome import Failure, Kind, Outcome
from rota.model.state import State

BURNT: Final = Failure(type="BurntError", message="it is black", traceback="Traceback: bake() at 300 degrees")


def _outcome(job: ClaimedJob, kind: Kind) -> Outcome:
    return Outcome(seq=job.seq, token=job.token, fence=job.fence, kind=kind)


def succeeded(job: ClaimedJob, result: bytes | None = b'"baked"') -> Outcome:
    """The run returned a value."""
    outcome = _outcome(job, Kind.SUCCEEDED)
    outcome.result = result
    return outcome


def failed(job: ClaimedJob, failure: Failure = BURNT) -> Outcome:
    """The run failed, and there will be no other."""
    outcome = _outcome(job, Kind.FAILED)
    outcome.failure = failure
    return outcome


def retry(job: ClaimedJob, due_at: int, failure: Failure = BURNT) -> Outcome:
    """The run failed; another comes at ``due_at``."""
    outcome = _outcome(job, Kind.RETRY)
    outcome.failure, outcome.due_at = failure, due_at
    return outcome


def snooze(job: ClaimedJob, due_at: int) -> Outcome:
    """The handler asked to be called again at ``due_at``."""
    outcome = _outcome(job, Kind.SNOOZE)
    outcome.due_at = due_at
    return outcome


def cancelled(job: ClaimedJob) -> Outcome:
    """The run was cancelled."""
    return _outcome(job, Kind.CANCELLED)


def expired(job: ClaimedJob) -> Outcome:
    """It was too late to start."""
    return _outcome(job, Kind.EXPIRED)


def given_back(job: ClaimedJob) -> Outcome:
    """The worker could not start it."""
    return _outcome(job, Kind.GIVEN_BACK)


Settle = Callable[[ClaimedJob], Outcome]
FAR = 2**51
"""Microseconds since 1970: in the year 2041."""
FINALS: list[tuple[Settle, State]] = [
    (succeeded, State.SUCCEEDED),
    (failed, State.FAILED),
    (cancelled, State.CANCELLED),
    (expired, State.EXPIRED),
]
