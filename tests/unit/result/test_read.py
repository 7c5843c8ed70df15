"""From a finished job to its result, or to an error that can be acted on."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from rota.errors import (
    ExpiredError,
    JobCancelledError,
    JobError,
    JobExpiredError,
    JobFailedError,
    UnknownTokenError,
)
from rota.model.job import HistoryEntry
from rota.model.outcome import Failure
from rota.model.state import State
from rota.model.token import token_text
from rota.result.info import JobFailure, build_info
from rota.result.read import not_found, result_of
from rota.runtime.entropy import build_token
from tests.unit.result.test_why import JOB, NOW_US

TRACE = "Traceback (most recent call last):\n" + "".join(f'  File "oven.py", line {n}\n' for n in range(20))
FAILED = replace(
    JOB, state=State.FAILED, attempts=3, failure=Failure("OvenError", "too cold", TRACE), settled_at=NOW_US
)


def test_a_success_gives_its_result_as_stored() -> None:
    """Decoding is the business of whoever knows the task."""
    assert result_of(replace(JOB, state=State.SUCCEEDED, result=b'"hot"')) == b'"hot"'
    assert result_of(replace(JOB, state=State.SUCCEEDED)) is None


def test_a_failure_carries_the_handler_s_error() -> None:
    """Whoever waits must see what went wrong without going to the logs."""
    with pytest.raises(JobFailedError) as caught:
        result_of(FAILED)

    error = caught.value
    assert (error.error_type, error.error_message, error.attempts) == ("OvenError", "too cold", 3)
    assert error.traceback == TRACE
    assert error.token == token_text(JOB.token)
    assert "failed for good after 3 attempts: OvenError: too cold" in str(error)
    assert f"rota retry {error.token}" in str(error)
    assert "line 19" in error.__notes__[0]
    assert "line 3\n" not in error.__notes__[0]


def test_a_failure_without_details_is_still_told() -> None:
    """An old record may lack them."""
    with pytest.raises(JobFailedError, match="after 1 attempt and 2 crashes: unknown"):
        result_of(replace(FAILED, failure=None, attempts=1, crashes=2))


def test_an_exception_without_a_message_is_its_type() -> None:
    """As Python itself writes it: ``assert`` and ``raise NotImplementedError`` say no more."""
    with pytest.raises(JobFailedError, match="after 1 attempt and 1 crash: AssertionError\n"):
        result_of(replace(FAILED, failure=Failure("AssertionError", ""), attempts=1, crashes=1))


@pytest.mark.parametrize(
    ("state", "error", "says"),
    [(State.CANCELLED, JobCancelledError, "was cancelled"), (State.EXPIRED, JobExpiredError, "was not started")],
)
def test_the_other_ends_have_errors_of_their_own(state: State, error: type[JobError], says: str) -> None:
    """They are caught apart: a cancelled job is no failure."""
    with pytest.raises(error, match=says):
        result_of(replace(JOB, state=state))


def test_an_old_token_is_expired_and_not_unknown() -> None:
    """A token tells its own age; 'no such job' would send people looking for a bug."""
    young, old = build_token(NOW_US // 1_000 - 86_400_000, 1), build_token(NOW_US // 1_000 - 9 * 86_400_000, 1)

    unknown = not_found(young, NOW_US, 7)
    assert isinstance(unknown, UnknownTokenError)
    assert "has not been committed yet" in str(unknown), (
        "most often it is asked for within the transaction that submits it"
    )
    expired = not_found(old, NOW_US, 7)
    assert isinstance(expired, ExpiredError)
    assert "submitted 9 days ago, and finished jobs are kept for 7" in str(expired)


def test_info_tells_the_whole_story() -> None:
    """Attempts with worker, times and errors; the last run comes from the job's own row."""
    history = [
        HistoryEntry(NOW_US, "crashed", 1, "mitte/1", Failure("WorkerCrashed", "killed by signal 9")),
        HistoryEntry(NOW_US + 1, "failed", 2, "mitte/2", Failure("OvenError", "too cold"), NOW_US),
    ]

    info = build_info(replace(FAILED, payload=b'{"order":1}', holder="nord/1", fence=3), history, None)

    assert [(entry.kind, entry.worker, entry.fence) for entry in info.story] == [
        ("crashed", "mitte/1", 1),
        ("failed", "mitte/2", 2),
        ("failed", "nord/1", 3),
    ]
    assert info.story[0].moved is not None
    assert info.story[1].error == JobFailure("OvenError", "too cold")
    assert info.story[1].started_at == datetime(2026, 1, 1, tzinfo=UTC)
    assert (info.arguments, info.result, info.state) == ({"order": 1}, None, State.FAILED)


def test_info_shows_a_foreign_encoding_as_it_is() -> None:
    """A payload that another version wrote is still shown, undecoded."""
    assert build_info(replace(JOB, payload=b"\x00", codec=9), [], None).arguments == b"\x00"
