"""Exit codes, and which error ends in which.

    0 ok · 1 the job failed · 2 usage · 3 not found · 4 conflict · 69 store unavailable · 70 a fault of ours
    75 try again · 78 configuration · 124 timeout · 130 interrupted

Scripts branch on these, so a number never changes its meaning. 69, 70, 75 and 78 are those of ``sysexits.h``; 124 is that
of ``timeout(1)``.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NoReturn

from rota import errors


class Exit(IntEnum):
    """What a command's exit code says."""

    OK = 0
    JOB_FAILED = 1
    USAGE = 2
    NOT_FOUND = 3
    CONFLICT = 4
    UNAVAILABLE = 69
    INTERNAL = 70
    TRY_AGAIN = 75
    CONFIG = 78
    TIMEOUT = 124
    INTERRUPTED = 130


MEANINGS: dict[Exit, str] = {
    Exit.OK: "done",
    Exit.JOB_FAILED: "the job failed, was cancelled or expired (wait)",
    Exit.USAGE: "the command or its arguments are wrong; nothing was done",
    Exit.NOT_FOUND: "no such job, task or queue; the record is past retention",
    Exit.CONFLICT: "the job's state does not allow it, or the token is taken",
    Exit.UNAVAILABLE: "the store cannot be used, or is not well (health, doctor)",
    Exit.INTERNAL: "a fault in rota itself; ROTA_DEBUG=1 shows the traceback",
    Exit.TRY_AGAIN: "the store is busy or full, or a limit is reached: try again later",
    Exit.CONFIG: "a setting, the app or the store's schema must be mended",
    Exit.TIMEOUT: "not settled within --timeout; the job goes on",
    Exit.INTERRUPTED: "Ctrl-C",
}


class Stop(Exception):
    """Ends a command with a sentence for a person and a code for a script.

    Args:
        code: The exit code.
        says: What happened.
        hint: The next thing to type or to do; empty for none.
    """

    def __init__(self, code: Exit, says: str, hint: str = "") -> None:
        super().__init__(says)
        self.code = code
        self.says = says
        self.hint = hint


def stop(code: Exit, says: str, hint: str = "") -> NoReturn:
    """End the command.

    Raises:
        Stop: Always.
    """
    raise Stop(code, says, hint)


_BY_ERROR: tuple[tuple[type[errors.RotaError], Exit], ...] = (
    (errors.UnknownTaskError, Exit.NOT_FOUND),
    (errors.UnknownTokenError, Exit.NOT_FOUND),
    (errors.ExpiredError, Exit.NOT_FOUND),
    (errors.TokenReusedError, Exit.CONFLICT),
    (errors.NotAllowedError, Exit.CONFLICT),
    (errors.StaleSettleError, Exit.CONFLICT),
    (errors.TaskDefinitionError, Exit.CONFIG),
    (errors.ConfigError, Exit.CONFIG),
    (errors.SchemaVersionError, Exit.CONFIG),
    (errors.UnsupportedStoreError, Exit.CONFIG),
    (errors.StoreBusyError, Exit.TRY_AGAIN),
    (errors.StoreFullError, Exit.TRY_AGAIN),
    (errors.QueueFullError, Exit.TRY_AGAIN),
    (errors.OutcomeUnknownError, Exit.TRY_AGAIN),
    (errors.NodeClosedError, Exit.TRY_AGAIN),
    (errors.ResultTimeoutError, Exit.TIMEOUT),
    (errors.UsageError, Exit.USAGE),
    (errors.JobError, Exit.JOB_FAILED),
    (errors.StoreError, Exit.UNAVAILABLE),
)
"""The first line that fits decides: single errors before their families."""


def code_of(error: errors.RotaError) -> Exit:
    """Return the exit code of an error raised on purpose."""
    return next((code for kind, code in _BY_ERROR if isinstance(error, kind)), Exit.INTERNAL)
