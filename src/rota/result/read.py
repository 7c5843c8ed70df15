"""From a settled job's row to its result, or to the error that says why there is none."""

from __future__ import annotations

from typing import Final

from rota.errors import ExpiredError, JobCancelledError, JobError, JobExpiredError, JobFailedError, UnknownTokenError
from rota.model.job import JobRow
from rota.model.outcome import Failure
from rota.model.state import State
from rota.model.token import token_ms, token_text

_DAY_MS: Final = 86_400_000
_LAST_LINES: Final = 6


def result_of(row: JobRow) -> bytes | None:
    """Return the encoded result of a finished job; ``None`` if it returned nothing.

    Raises:
        JobFailedError: It failed for good.
        JobCancelledError: It was cancelled.
        JobExpiredError: It was not started in time.
    """
    if row.state is State.SUCCEEDED:
        return row.result
    raise _error_of(row)


def not_found(token: bytes, now_us: int, retention_days: float) -> JobError:
    """Return the error for a token that no job has: past retention, or never there. A token tells its own age."""
    text = token_text(token)
    age_days = (now_us // 1_000 - token_ms(token)) / _DAY_MS
    if age_days > retention_days:
        return ExpiredError(
            f"job {text} was submitted {age_days:.0f} days ago, and finished jobs are kept for {retention_days:g}. Its record "
            "is gone; whether it succeeded is not known here any more. Raise `retention` to keep later ones longer.",
            token=text,
            age_days=age_days,
        )
    return UnknownTokenError(
        f"no job has the token {text}. Is it from another store, or from a transaction that was rolled back, or has not "
        "been committed yet? `rota doctor` says which store this is.",
        token=text,
    )


def _error_of(row: JobRow) -> JobError:
    text, failure = token_text(row.token), row.failure
    if row.state is State.CANCELLED:
        return JobCancelledError(
            f"job {text} ({row.task}) was cancelled and has no result. `rota retry {text}` puts it back.",
            token=text,
            task=row.task,
        )
    if row.state is State.EXPIRED:
        return JobExpiredError(
            f"job {text} ({row.task}) was not started before it expired, and was not run. Are there enough workers? "
            "Submit it again with a later `expires` if it is still wanted.",
            token=text,
            task=row.task,
        )
    failure = failure or Failure("unknown", "")
    count = f"{row.attempts} attempt" if row.attempts == 1 else f"{row.attempts} attempts"
    crashes = f" and {row.crashes} {'crash' if row.crashes == 1 else 'crashes'}" if row.crashes else ""
    error = JobFailedError(
        f"job {text} ({row.task}) failed for good after {count}{crashes}: {failure.says}\n"
        f"It is kept as a dead letter: `rota job {text}` shows it, `rota retry {text}` puts it back.",
        token=text,
        task=row.task,
        error_type=failure.type,
        error_message=failure.message,
        traceback=failure.traceback,
        attempts=row.attempts,
    )
    if failure.traceback:
        error.add_note(f"In the worker:\n{_end_of(failure.traceback)}")
    return error


def _end_of(trace: str) -> str:
    lines = trace.rstrip().splitlines()
    return "\n".join(lines if len(lines) <= _LAST_LINES else ["  …", *lines[-_LAST_LINES:]])
