"""Everything that is known of one job, as people read it: ``token.info()``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec

from rota.model.job import JSON_CODEC, HistoryEntry, JobRow
from rota.model.outcome import Failure
from rota.model.state import State
from rota.model.token import token_ms, token_text
from rota.result.why import Surroundings, moved, utc_text, why
from rota.store.port import Store

_EPOCH: Final = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


@dataclass(frozen=True, slots=True)
class JobFailure:
    """What went wrong in one attempt.

    Attributes:
        type: Name of the exception's class.
        message: Its message.
        traceback: Its traceback as text; empty when there is none.
    """

    type: str
    message: str
    traceback: str = ""


@dataclass(frozen=True, slots=True)
class StoryEntry:
    """One thing that happened to a job: an attempt that failed, a crash, a release, a refused result, a reopening.

    Attributes:
        kind: ``failed``, ``crashed``, ``released``, ``stale`` or ``reopened``; for the last run of a finished job its state.
        at: When it was recorded, in UTC.
        started_at: When that run began, if it did and it is known.
        worker: Name of the worker; empty when unknown.
        fence: The claim that it speaks of.
        error: What went wrong, if something did.
        moved: Why the job left its worker; ``None`` if it did not.
    """

    kind: str
    at: datetime | None
    started_at: datetime | None
    worker: str
    fence: int
    error: JobFailure | None = None
    moved: str | None = None


@dataclass(frozen=True, slots=True)
class JobInfo:
    """What is known of one job at one moment. Instants are in UTC; ``None`` where something does not apply.

    Attributes:
        token: As ``str(token)`` gives it.
        task: Name of its task.
        queue: Name of its queue.
        key: Jobs of one key run one at a time, in order.
        state: What ``token.status()`` says.
        why: Why it waits, in a sentence; ``None`` once it is finished.
        priority: -100 to 100, higher first.
        attempts: How many attempts have ended.
        crashes: How often its process died under it.
        fence: How often it has been claimed.
        worker: Name of the worker that runs it, or ran it last.
        submitted_at: When its token was made, by the submitter's clock.
        due_at: When it may run, while that lies ahead.
        expires_at: When it is no longer wanted, unless it is finished.
        started_at: When its current or last run began.
        settled_at: When it was finished.
        is_cancel_asked: Its worker was asked to end it, and has not yet; of a finished job ``state`` says what came of that.
        arguments: As plain JSON, by name.
        result: As plain JSON, if it succeeded.
        error: Of the last attempt, if it failed for good.
        story: What happened to it, oldest first.
    """

    token: str
    task: str
    queue: str
    key: str | None
    state: State
    why: str | None
    priority: int
    attempts: int
    crashes: int
    fence: int
    worker: str | None
    submitted_at: datetime
    due_at: datetime | None
    expires_at: datetime | None
    started_at: datetime | None
    settled_at: datetime | None
    is_cancel_asked: bool
    arguments: Any
    result: Any
    error: JobFailure | None
    story: tuple[StoryEntry, ...]


async def job_info(store: Store, token: bytes, now_us: int) -> JobInfo | None:
    """Return what is known of a job, or ``None`` if there is none. Several reads; each is of its own moment."""
    row = await store.find(token)
    if row is None:
        return None
    history = await store.history(token)
    return build_info(row, history, await why_of(store, row, now_us, history))


async def why_of(
    store: Store,
    row: JobRow,
    now_us: int,
    history: Sequence[HistoryEntry],
    clock_text: Callable[[int], str] = utc_text,
) -> str | None:
    """Return why a live job is not done yet, after looking at what stands around it; ``None`` for a finished one."""
    if row.state.is_final:
        return None
    head = await store.head_of(row.queue, row.key) if row.key is not None and not row.is_head else None
    members = await store.membership()
    queue = next((queue for queue in await store.queues() if queue.name == row.queue), None)
    return why(row, Surroundings(now_us, head, members.workers, queue, clock_text), history)


def build_info(row: JobRow, history: Sequence[HistoryEntry], reason: str | None) -> JobInfo:
    """Return the public form of a job's row and history."""
    return JobInfo(
        token=token_text(row.token),
        task=row.task,
        queue=row.queue,
        key=row.key,
        state=row.state,
        why=reason,
        priority=row.priority,
        attempts=row.attempts,
        crashes=row.crashes,
        fence=row.fence,
        worker=row.holder,
        submitted_at=_when(token_ms(row.token) * 1_000),
        due_at=_maybe(row.due_at),
        expires_at=_maybe(row.expires_at),
        started_at=_maybe(row.started_at),
        settled_at=_maybe(row.settled_at),
        is_cancel_asked=row.cancel_asked,
        arguments=_plain(row.payload, row.codec),
        result=None if row.result is None else _plain(row.result, JSON_CODEC),
        error=_failure(row.failure),
        story=(*map(_entry, history), *_last_run(row)),
    )


def _last_run(row: JobRow) -> tuple[StoryEntry, ...]:
    """Return the run that finished the job: the store keeps it in the row, not in the history."""
    if not row.state.is_final:
        return ()
    last = StoryEntry(
        row.state.value,
        _maybe(row.settled_at),
        _maybe(row.started_at),
        row.holder or "",
        row.fence,
        _failure(row.failure),
    )
    return (last,)


def _entry(entry: HistoryEntry) -> StoryEntry:
    return StoryEntry(
        kind=entry.kind,
        at=_when(entry.at),
        started_at=_maybe(entry.started_at),
        worker=entry.worker,
        fence=entry.fence,
        error=_failure(entry.failure),
        moved=moved(entry),
    )


def _failure(failure: Failure | None) -> JobFailure | None:
    return None if failure is None else JobFailure(failure.type, failure.message, failure.traceback)


def _plain(data: bytes, codec: int) -> Any:
    if codec != JSON_CODEC:
        return data
    return msgspec.json.decode(data) if data else None


def _maybe(instant_us: int | None) -> datetime | None:
    return None if instant_us is None else _when(instant_us)


def _when(instant_us: int) -> datetime:
    return _EPOCH + timedelta(microseconds=instant_us)
