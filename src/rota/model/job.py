"""A job in its three shapes: handed in, claimed, and as told to people.

Instants are microseconds since 1970 (UTC) as ``int``: no datetime object is built on the way of a job. Public faces turn
them into ``datetime``.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from rota.model.outcome import Failure
from rota.model.state import State

JSON_CODEC: Final = 1
"""How payloads and results are written down: as JSON. Another way would be another number, stored with each job."""


class NewJob(Struct, frozen=True, gc=False):
    """A job as it is handed to the store.

    Attributes:
        token: 16 bytes, a UUIDv7.
        queue: Name of its queue.
        task: Name of its task.
        payload: The encoded arguments.
        hash16: 16 bits of the hash of key or token; see ``rota.model.slot``.
        key: Jobs of one key in one queue run one at a time and in order; ``None`` for a job on its own.
        priority: -100 to 100, higher first. Does not reorder a key.
        due_at: When it may first run; ``None`` for at once.
        expires_at: If it has not been started by then, it is settled as expired; ``None`` for never.
        meta: JSON of what this submission overrides (``timeout_ms``, ``retry``); ``None`` when nothing.
        codec: Number of the payload's encoding; 1 is JSON.
        is_fresh: The token was made for this call and has never been sent, so finished jobs need not be searched for it.
    """

    token: bytes
    queue: str
    task: str
    payload: bytes
    hash16: int
    key: str | None = None
    priority: int = 0
    due_at: int | None = None
    expires_at: int | None = None
    meta: bytes | None = None
    codec: int = JSON_CODEC
    is_fresh: bool = False


class ClaimedJob(Struct):
    """A job as its worker holds it. Field order is the column order of ``claim`` and ``held`` in both engines.

    Attributes:
        seq: The store's number for the row; order within a key.
        token: 16 bytes.
        task_id: The store's number for the task's name.
        slot: 0 to 1023.
        key: Its key, or ``None``.
        priority: -100 to 100.
        payload: The encoded arguments.
        codec: Number of the payload's encoding.
        meta: JSON of this submission's overrides, or ``None``.
        fence: Raised by this claim; what the settle must match.
        attempts: Attempts that have failed so far (retries used up); not counting this one.
        crashes: How often its process died under it and it has not proved itself since.
        cancel_asked: Somebody asked to cancel it: settle it as cancelled without running it.
        expires_at: Settle it as expired if this has passed and it was never started; ``None`` for never.
        claim_no: The claims row that it belongs to.
        queue_id: The store's number for the queue's name.
    """

    seq: int
    token: bytes
    task_id: int
    slot: int
    key: str | None
    priority: int
    payload: bytes
    codec: int
    meta: bytes | None
    fence: int
    attempts: int
    crashes: int
    cancel_asked: bool
    expires_at: int | None
    claim_no: int
    queue_id: int


class HistoryEntry(Struct, frozen=True):
    """One thing that happened to a job and is worth telling.

    Attributes:
        at: When it was recorded.
        kind: ``failed`` (an attempt that is retried), ``crashed`` (its process died), ``stale`` (a settle was refused),
            ``reopened`` (a person put it back), ``released`` (taken from a worker that died before it had started the
            job, or that was drained, stopped or recycled meanwhile).
        fence: The claim it speaks of.
        worker: Name of the worker, such as ``mitte/1``; empty when unknown.
        failure: What went wrong, if something did.
        started_at: When that attempt was started, if known.
    """

    at: int
    kind: str
    fence: int
    worker: str = ""
    failure: Failure | None = None
    started_at: int | None = None


class JobRow(Struct, frozen=True):
    """Everything that the store knows of one job in its own row. ``None`` where it does not apply.

    Attributes:
        state: As of this read, by the store's clock.
        ready: May be claimed now (live jobs).
        is_head: It is this key's turn (live jobs with a key).
        is_alone: A suspect, waiting to run alone in a fresh process (live jobs).
        cancel_asked: Its worker was asked to end it (live jobs): what came of that, its state says.
        seq: The store's number for the row (live jobs).
        due_at: When it may run, if that lay ahead (live jobs).
        expires_at: When it is no longer wanted (live jobs).
        holder: Name of the worker that holds it, or that ran it last; ``None`` if nobody does, or it is not known any more.
        settled_at: When it was finished.
        failure: Of the last attempt, for failed jobs; of the cancellation, if there was one.
        result: The encoded result, for succeeded jobs.
        attempts: Attempts made that ended: failed ones, plus the final one for a finished job.
    """

    token: bytes
    state: State
    queue: str
    task: str
    key: str | None
    slot: int
    priority: int
    fence: int
    attempts: int
    crashes: int
    payload: bytes
    codec: int
    meta: bytes | None = None
    seq: int | None = None
    due_at: int | None = None
    expires_at: int | None = None
    ready: bool = False
    is_head: bool = False
    is_alone: bool = False
    cancel_asked: bool = False
    holder: str | None = None
    claimed_at: int | None = None
    started_at: int | None = None
    settled_at: int | None = None
    result: bytes | None = None
    failure: Failure | None = None
