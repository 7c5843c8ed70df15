"""Every error that rota raises on purpose.

    RotaError
    ├── UsageError                    fix the code or the command
    │   ├── TaskDefinitionError       ROTA-101   a function that cannot be a task
    │   ├── UnknownTaskError          ROTA-102   no task of that name
    │   ├── InvalidArgumentsError     ROTA-103   arguments that do not fit the task's annotations
    │   ├── LimitError                ROTA-104   too long, too large, too many, out of range
    │   ├── InvalidTokenError         ROTA-105   not a UUIDv7, or its time is off by more than a day
    │   ├── TokenReusedError          ROTA-106   that token already carries another payload
    │   ├── ConfigError               ROTA-107   a setting that is missing, unknown or contradictory
    │   ├── NotAllowedError           ROTA-108   the job's state does not allow that
    │   └── UnfitConnectionError      ROTA-109   a connection that a job cannot be submitted through
    ├── JobError                      look at a job
    │   ├── JobFailedError            ROTA-201   it failed for good; carries the handler's error
    │   ├── JobCancelledError         ROTA-202   it was cancelled
    │   ├── StaleSettleError          ROTA-203   a result arrived from a run that no longer holds the job
    │   ├── UnknownTokenError         ROTA-204   no such job
    │   ├── ExpiredError              ROTA-205   its record is past retention
    │   ├── JobExpiredError           ROTA-206   it was not started before its `expires`
    │   └── ResultTimeoutError        ROTA-207   not settled within the time you gave
    └── StoreError                    try again, or look at the store
        ├── StoreUnavailableError     ROTA-301   cannot be reached or opened
        ├── StoreBusyError            ROTA-302   locked by somebody for longer than you allowed
        ├── StoreFullError            ROTA-303   no room on the disk
        ├── StoreReadOnlyError        ROTA-304   it may not be written
        ├── StoreBrokenError          ROTA-305   a disk error, or a damaged file; not retried past
        ├── QueueFullError            ROTA-306   the queue's `waiting_max` is reached
        ├── SchemaVersionError        ROTA-307   the store is older or newer than this code
        ├── UnsupportedStoreError     ROTA-308   a network file system, an unknown URL scheme
        ├── OutcomeUnknownError       ROTA-309   the reply was lost: it may or may not have been done
        └── NodeClosedError           ROTA-310   this node or worker was declared dead meanwhile

The three families are there because callers do three different things. Attributes are typed, so that logs get fields
and people get a sentence; the sentence says what happened to which thing, what that means for the data, and what to
do next.
"""

from __future__ import annotations

from typing import Any, ClassVar


class RotaError(Exception):
    """The root of all errors raised on purpose.

    Args:
        message: What happened to which thing, with values; what it means for the data; what to do next.
        facts: The same as fields, for logs. Each is also an attribute.
    """

    code: ClassVar[str] = "ROTA-000"

    def __init__(self, message: str, **facts: Any) -> None:
        super().__init__(message)
        self.message = message
        self.facts = facts
        self.__dict__.update({name: value for name, value in facts.items() if name not in ("message", "facts", "args")})

    def __str__(self) -> str:
        return f"[{self.code}] {self.message}"

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuild, (type(self), self.message, self.facts))


def _rebuild(kind: type[RotaError], message: str, facts: dict[str, Any]) -> RotaError:
    return kind(message, **facts)


class UsageError(RotaError):
    """The code or the command must be mended; nothing was written."""

    code = "ROTA-100"


class TaskDefinitionError(UsageError):
    """This function cannot be a task."""

    code = "ROTA-101"


class UnknownTaskError(UsageError):
    """No task of this name is known here."""

    code = "ROTA-102"


class InvalidArgumentsError(UsageError):
    """The arguments do not fit the task's annotations. Nothing was written."""

    code = "ROTA-103"


class LimitError(UsageError):
    """Something is longer, larger or more than allowed. Nothing was written."""

    code = "ROTA-104"


class InvalidTokenError(UsageError):
    """Not a UUIDv7, or one whose time is off by more than a day."""

    code = "ROTA-105"


class TokenReusedError(UsageError):
    """A job with this token exists and has another payload. Nothing was written."""

    code = "ROTA-106"


class ConfigError(UsageError):
    """A setting is missing, unknown or contradicts another."""

    code = "ROTA-107"


class NotAllowedError(UsageError):
    """The job's state does not allow what was asked. Nothing was changed."""

    code = "ROTA-108"


class UnfitConnectionError(UsageError):
    """No job can be submitted through this connection, or not in its present state. Nothing was written."""

    code = "ROTA-109"


class JobError(RotaError):
    """Something about one job."""

    code = "ROTA-200"


class JobFailedError(JobError):
    """The job failed for good.

    Attributes:
        token: The job's token as text.
        error_type: Name of the exception's class in the handler, such as ``"ValueError"``.
        error_message: Its message.
        traceback: Its traceback as text, cut to 16 KiB.
        attempts: How many attempts were made.
    """

    code = "ROTA-201"
    token: str
    error_type: str
    error_message: str
    traceback: str
    attempts: int


class JobCancelledError(JobError):
    """The job was cancelled."""

    code = "ROTA-202"


class StaleSettleError(JobError):
    """A result arrived from a run that no longer holds its job; it was not recorded."""

    code = "ROTA-203"


class UnknownTokenError(JobError):
    """No job has this token."""

    code = "ROTA-204"


class ExpiredError(JobError):
    """The job's record is past its retention and has been removed."""

    code = "ROTA-205"


class JobExpiredError(JobError):
    """The job was not started before the instant given as ``expires``."""

    code = "ROTA-206"


class ResultTimeoutError(JobError, TimeoutError):
    """The job was not settled within the time given. It goes on."""

    code = "ROTA-207"


class StoreError(RotaError):
    """The store could not do what was asked."""

    code = "ROTA-300"


class StoreUnavailableError(StoreError):
    """The store cannot be reached or opened. Nothing was written."""

    code = "ROTA-301"


class StoreBusyError(StoreError):
    """The store was locked for longer than allowed. Nothing was written."""

    code = "ROTA-302"


class StoreFullError(StoreError):
    """There is no room left on the disk. Nothing was written."""

    code = "ROTA-303"


class StoreReadOnlyError(StoreError):
    """The store may not be written. Nothing was written."""

    code = "ROTA-304"


class StoreBrokenError(StoreError):
    """The disk reported an error, or the file is damaged. The store stops here; it is not retried past."""

    code = "ROTA-305"


class QueueFullError(StoreError):
    """The queue holds as many waiting jobs as it may. Nothing was written."""

    code = "ROTA-306"


class SchemaVersionError(StoreError):
    """The store's schema is older or newer than this code."""

    code = "ROTA-307"


class UnsupportedStoreError(StoreError):
    """The store lies where its promises cannot be kept, such as on a network file system."""

    code = "ROTA-308"


class OutcomeUnknownError(StoreError):
    """The reply was lost: the statement may or may not have been carried out. Asking again is safe."""

    code = "ROTA-309"


class NodeClosedError(StoreError):
    """This node or worker has been declared dead; it may not take or start anything any more."""

    code = "ROTA-310"
