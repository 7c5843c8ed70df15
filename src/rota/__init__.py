"""rota: a durable job queue. One file, no server; a crash moves exactly the dead worker's jobs.

    from rota import Rota

    app = Rota("shop.db")

    @app.task(key=lambda order: order.store)
    def bake(order: Order) -> str: ...

    token = bake.submit(Order("mitte", "margherita"))
    token.result(timeout=10)

Errors come in three families: ``UsageError`` (mend the code), ``JobError`` (look at the job), ``StoreError`` (try again);
``rota.errors`` has the whole tree. For tests of your tasks: ``rota.testing``.
"""

from __future__ import annotations

import importlib
import typing

if typing.TYPE_CHECKING:
    from rota.app.call import Call
    from rota.app.rota import Rota
    from rota.app.task import Task
    from rota.app.token import Token
    from rota.errors import (
        ConfigError,
        ExpiredError,
        InvalidArgumentsError,
        JobCancelledError,
        JobError,
        JobExpiredError,
        JobFailedError,
        LimitError,
        NotAllowedError,
        QueueFullError,
        ResultTimeoutError,
        RotaError,
        StoreBusyError,
        StoreError,
        StoreUnavailableError,
        TaskDefinitionError,
        TokenReusedError,
        UnknownTokenError,
        UsageError,
    )
    from rota.model.retry import Fail, Retry, Snooze
    from rota.model.state import State
    from rota.result.info import JobInfo
    from rota.worker.current import CurrentJob, current_job

__all__ = [
    "Call",
    "ConfigError",
    "CurrentJob",
    "ExpiredError",
    "Fail",
    "InvalidArgumentsError",
    "JobCancelledError",
    "JobError",
    "JobExpiredError",
    "JobFailedError",
    "JobInfo",
    "LimitError",
    "NotAllowedError",
    "QueueFullError",
    "ResultTimeoutError",
    "Retry",
    "Rota",
    "RotaError",
    "Snooze",
    "State",
    "StoreBusyError",
    "StoreError",
    "StoreUnavailableError",
    "Task",
    "TaskDefinitionError",
    "Token",
    "TokenReusedError",
    "UnknownTokenError",
    "UsageError",
    "current_job",
]

# Looked up at first use, so that `rota --help`, and a program that only catches `rota.RotaError`, do not wait for the rest.
_HOMES = {
    "Call": "rota.app.call",
    "ConfigError": "rota.errors",
    "CurrentJob": "rota.worker.current",
    "ExpiredError": "rota.errors",
    "Fail": "rota.model.retry",
    "InvalidArgumentsError": "rota.errors",
    "JobCancelledError": "rota.errors",
    "JobError": "rota.errors",
    "JobExpiredError": "rota.errors",
    "JobFailedError": "rota.errors",
    "JobInfo": "rota.result.info",
    "LimitError": "rota.errors",
    "NotAllowedError": "rota.errors",
    "QueueFullError": "rota.errors",
    "ResultTimeoutError": "rota.errors",
    "Retry": "rota.model.retry",
    "Rota": "rota.app.rota",
    "RotaError": "rota.errors",
    "Snooze": "rota.model.retry",
    "State": "rota.model.state",
    "StoreBusyError": "rota.errors",
    "StoreError": "rota.errors",
    "StoreUnavailableError": "rota.errors",
    "Task": "rota.app.task",
    "TaskDefinitionError": "rota.errors",
    "Token": "rota.app.token",
    "TokenReusedError": "rota.errors",
    "UnknownTokenError": "rota.errors",
    "UsageError": "rota.errors",
    "current_job": "rota.worker.current",
}


if not typing.TYPE_CHECKING:  # a type checker that sees it would take every misspelt name for a good one

    def __getattr__(name: str) -> object:
        if name not in _HOMES:
            raise AttributeError(f"module 'rota' has no attribute {name!r}")
        value = getattr(importlib.import_module(_HOMES[name]), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
