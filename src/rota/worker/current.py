"""What a handler can ask about the job that it is running: ``current_job()``."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rota.errors import UsageError
from rota.model.token import token_text

if TYPE_CHECKING:
    from rota.worker.attempt import Attempt

running_attempt: ContextVar[Attempt] = ContextVar("rota_running_attempt")


@dataclass(frozen=True, slots=True)
class CurrentJob:
    """The facts of the job that this handler is running.

    Attributes:
        token: Its token, as ``str(token)`` gives it.
        task: Name of its task.
        queue: Name of its queue.
        key: Its key, or ``None``.
        attempt: Which attempt this is, from 1.
        fence: Rises at every claim of this job. Write it beside what you write into a database of your own, and refuse
            a write whose fence is lower than the one that is there: then not even a run that was frozen for an hour can
            overwrite what a later one did.
        deadline: When this attempt's time limit ends; ``None`` for no limit.
    """

    token: str
    task: str
    queue: str
    key: str | None
    attempt: int
    fence: int
    deadline: datetime | None
    _attempt: Attempt

    @property
    def is_cancel_asked(self) -> bool:
        """Whether somebody asked to cancel this job. A ``def`` handler should look now and then, and raise.

        Whatever it raises then makes the job cancelled; what it returns is its result, as ever.
        """
        return self._attempt.is_cancel_asked

    @property
    def is_overdue(self) -> bool:
        """Whether this attempt has overrun its time limit. A ``def`` handler should look now and then, and raise."""
        return self._attempt.is_overdue


def current_job() -> CurrentJob:
    """Return the job that the calling handler is running.

    Works in ``async def`` and ``def`` handlers, and in tasks and threads that copied their context.

    Raises:
        UsageError: Called outside of a handler, such as in a plain call of the function.
    """
    attempt = running_attempt.get(None)
    if attempt is None:
        raise UsageError(
            "current_job() was called outside of a running job. It works in a handler that a worker runs; in a plain call "
            "of the function there is no job."
        )
    job, end = attempt.job, attempt.deadline_us
    return CurrentJob(
        token=token_text(job.token),
        task=attempt.spec.name,
        queue=attempt.queue,
        key=job.key,
        attempt=job.attempts + 1,
        fence=job.fence,
        deadline=None if end is None else datetime.fromtimestamp(end / 1_000_000, UTC),
        _attempt=attempt,
    )
