"""What a run of a job came to, as it is handed to the store."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from msgspec import Struct


class Kind(IntEnum):
    """How one run ended."""

    SUCCEEDED = 0
    FAILED = 1
    CANCELLED = 2
    EXPIRED = 3
    RETRY = 4
    SNOOZE = 5
    GIVEN_BACK = 6

    @property
    def is_final(self) -> bool:
        """Whether the job is finished by it."""
        return self <= Kind.EXPIRED


WORKER_ENDED: Final = "WorkerEnded"
"""The type of the failure told of a job whose worker was drained, stopped or recycled while it held it: nobody is blamed."""


class Failure(Struct, frozen=True):
    """What went wrong in one attempt.

    Attributes:
        type: Name of the exception's class.
        message: Its message, cut to 4 KiB.
        traceback: Its traceback as text, cut to 16 KiB from the front; empty when there is none.
    """

    type: str
    message: str
    traceback: str = ""

    @property
    def says(self) -> str:
        """Type and message, as Python writes an exception: ``ValueError: too hot``, or ``ValueError`` alone."""
        message = self.message.strip()
        return f"{self.type}: {message}" if message else self.type

    @property
    def blames_nobody(self) -> bool:
        """Whether it only tells that a worker ended in good order."""
        return self.type == WORKER_ENDED


class Outcome(Struct):
    """One run's outcome.

    Attributes:
        seq: The job's row in the store, as claimed.
        token: The job's token.
        fence: The fence that the claim gave; the store records the outcome only if it still stands.
        kind: How it ended.
        result: The encoded result of a success; ``None`` for a task that returned nothing.
        failure: Of a failed attempt, a retry or a cancellation with an error.
        due_at: For ``RETRY`` and ``SNOOZE``: when to run again, microseconds since 1970.
        started_at: When the handler was started, microseconds since 1970; ``None`` if it never was.
        ended_at: When it ended, likewise.
    """

    seq: int
    token: bytes
    fence: int
    kind: Kind
    result: bytes | None = None
    failure: Failure | None = None
    due_at: int | None = None
    started_at: int | None = None
    ended_at: int | None = None
