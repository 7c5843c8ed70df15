"""Why a job waits, in one sentence. Pure: everything that is known comes in as arguments."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from rota.model.job import HistoryEntry, JobRow
from rota.model.span import span
from rota.model.state import State
from rota.model.token import token_text
from rota.store.port import QueueRow, WorkerRow

_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


def utc_text(instant_us: int) -> str:
    """Return an instant as programs far apart can compare it: UTC, to the second."""
    return (_EPOCH + timedelta(microseconds=instant_us)).strftime("%Y-%m-%d %H:%M:%S UTC")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What stands around a waiting job.

    Attributes:
        now_us: The moment of the question.
        head: The job whose turn it is in its key, if it has one.
        workers: All open workers.
        queue: Its queue; ``None`` if no worker or submission has made it known.
        clock_text: How an instant is told: as everything else around the sentence is.
    """

    now_us: int
    head: JobRow | None
    workers: Sequence[WorkerRow]
    queue: QueueRow | None
    clock_text: Callable[[int], str] = utc_text


def why(row: JobRow, around: Surroundings, history: Sequence[HistoryEntry] = ()) -> str | None:
    """Return why a live job is not done yet; ``None`` for a finished one.

    The first reason that would have to go is named: a paused queue before a missing worker, a missing worker before a
    job ahead in its key.
    """
    if row.state.is_final:
        return None
    if row.state is State.RUNNING:
        asked = ", and has been asked to cancel" if row.cancel_asked else ""
        return f"It is running on worker {row.holder or 'unknown'}{asked}."
    late = _why_expired(row, around)
    if row.due_at is not None and row.due_at > around.now_us:
        return _why_later(row, around, history) + late
    reasons = (_why_paused(row, around), _why_nobody(row, around), _why_behind(row, around), _why_alone(row))
    return (next((reason for reason in reasons if reason), None) or _why_busy(row, around)) + late


def has_snoozed(row: JobRow, history: Sequence[HistoryEntry]) -> bool:
    """Whether a scheduled job put itself off: its last run began, and what else ends a run is in the history."""
    return row.fence > 0 and all(entry.fence < row.fence for entry in history)


def moved(entry: HistoryEntry) -> str | None:
    """Return why a job left its worker, from one entry of its history; ``None`` if it did not."""
    worker = entry.worker or "its worker"
    told = f": {entry.failure.message.rstrip('.')}" if entry.failure and entry.failure.message else ""
    if entry.kind == "crashed":
        did = "held it" if entry.failure and entry.failure.type == "NodeLost" else "ran"
        return f"Worker {worker} died while it {did}{told}. It went back to its place; the crash is counted."
    if entry.kind == "released" and entry.failure and entry.failure.blames_nobody:
        return f"Worker {worker} ended while it held the job{told}. It went back to its place, and nobody is blamed."
    if entry.kind == "released":
        return f"Worker {worker} died or left before it had started{told}. It went back to its place, uncounted."
    if entry.kind == "stale":
        return (
            f"Worker {worker} brought a result under fence {entry.fence}, which no longer stood; it was not recorded."
        )
    return None


def _why_later(row: JobRow, around: Surroundings, history: Sequence[HistoryEntry]) -> str:
    due = around.clock_text(row.due_at or 0)
    wait = span((row.due_at or 0) - around.now_us)
    turn = f" It keeps the turn of key {row.key!r} meanwhile." if row.is_head else ""
    if has_snoozed(row, history):
        return f"Its handler asked to be called later (Snooze): again at {due}, in {wait}; no attempt is counted.{turn}"
    failed = [entry for entry in history if entry.kind == "failed"]
    if row.attempts and failed and failed[-1].failure:
        reason = _cut(failed[-1].failure.says)
        return f"Attempt {row.attempts} failed ({reason}); the next begins at {due}, in {wait}.{turn}"
    return f"It is scheduled for {due}, in {wait}.{turn}"


def _why_expired(row: JobRow, around: Surroundings) -> str:
    """Return what follows from an expiry that has passed: who would start the job drops it, and nobody else."""
    if row.expires_at is None or row.expires_at > around.now_us or row.attempts or row.crashes:
        return ""
    return f" It expired at {around.clock_text(row.expires_at)}, and is dropped within seconds, as soon as a node runs."


def _why_paused(row: JobRow, around: Surroundings) -> str | None:
    if around.queue is not None and around.queue.is_paused:
        return f"Queue {row.queue!r} is paused; `rota resume {shlex.quote(row.queue)}` lets it go on."
    return None


def _why_nobody(row: JobRow, around: Surroundings) -> str | None:
    open_ones = [worker for worker in around.workers if not worker.is_alone]
    if not open_ones:
        return "No worker is running; `rota run MODULE:APP` starts some."
    serving = [worker for worker in open_ones if row.queue in worker.queues]
    if not serving:
        return (
            f"No worker serves queue {row.queue!r}; start one with `rota run MODULE:APP -q {shlex.quote(row.queue)}`."
        )
    knowing = [worker for worker in serving if row.task in worker.tasks]
    if not knowing:
        return (
            f"No worker of queue {row.queue!r} knows the task {row.task!r}: they run other code, or older. "
            "It waits for one that does."
        )
    if all(worker.is_draining for worker in knowing):
        names = ", ".join(sorted(worker.name for worker in knowing)[:3])
        return f"Every worker that could take it is being drained ({names}). It waits for the next one to start."
    return None


def _why_behind(row: JobRow, around: Surroundings) -> str | None:
    if row.key is None or row.is_head:
        return None
    head = around.head
    if head is None or head.token == row.token:
        return f"It is about to get the turn of key {row.key!r}."
    doing = {
        State.RUNNING: f"is running on worker {head.holder or 'unknown'}",
        State.SCHEDULED: f"is tried again at {around.clock_text(head.due_at or 0)}",
    }.get(head.state, "waits for its worker")
    return f"Key {row.key!r} is the turn of job {token_text(head.token)}, which {doing}; jobs of one key run one at a time."


def _why_alone(row: JobRow) -> str | None:
    if not row.is_alone:
        return None
    return (
        f"Its process died {row.crashes} times while it ran, so it is a suspect: it waits for a fresh process in which "
        "it runs alone."
    )


def _why_busy(row: JobRow, around: Surroundings) -> str:
    queue = around.queue
    if queue is not None and queue.running == 0:
        return (
            f"It is ready, and is taken as soon as a worker has a free hand. Nothing of queue {row.queue!r} runs yet."
        )
    ahead = f" Queue {row.queue!r} has {queue.waiting:,} waiting and {queue.running:,} running." if queue else ""
    return f"It is ready, and the workers are busy.{ahead}"


def _cut(text: str, size: int = 120) -> str:
    return text if len(text) <= size else f"{text[: size - 1]}…"
