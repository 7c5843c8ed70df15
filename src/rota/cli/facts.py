"""What ``--json`` writes: the shapes, in one place. They are a promise: a name is never changed or dropped, only added.

Instants are ISO 8601 in UTC with microseconds, lengths of time are milliseconds (``_ms``), what does not apply is null.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from rota.cli.words import iso
from rota.model.token import token_ms, token_text

if TYPE_CHECKING:
    from rota.model.job import HistoryEntry, JobRow
    from rota.model.outcome import Failure
    from rota.store.port import Check, NodeRow, QueueRow, WorkerRow
    from rota.worker.running import Counts

JSON_CODEC = 1
"""The same as in ``rota.model.job``, which loads msgspec: help must not."""


def submitted_us(token: bytes) -> int:
    """Return when a job was submitted, by its submitter's clock: a token begins with its time."""
    return token_ms(token) * 1000


def job_facts(row: JobRow) -> dict[str, Any]:
    """Return one job as in a list."""
    return {
        "token": token_text(row.token),
        "state": row.state.value,
        "task": row.task,
        "queue": row.queue,
        "key": row.key,
        "priority": row.priority,
        "slot": row.slot,
        "attempts": row.attempts,
        "crashes": row.crashes,
        "fence": row.fence,
        "worker": row.holder,
        "cancel_asked": row.cancel_asked,
        "submitted_at": iso(submitted_us(row.token)),
        "due_at": iso(row.due_at),
        "expires_at": iso(row.expires_at),
        "claimed_at": iso(row.claimed_at),
        "started_at": iso(row.started_at),
        "settled_at": iso(row.settled_at),
        "error": failure_facts(row.failure),
    }


def job_story(row: JobRow, history: list[HistoryEntry], why: str | None) -> dict[str, Any]:
    """Return one job with all that is known of it."""
    facts = job_facts(row)
    facts["error"] = failure_facts(row.failure, with_traceback=True)
    return facts | {
        "why": why,
        "payload": decoded(row.payload, row.codec),
        "result": decoded(row.result, JSON_CODEC),
        "overrides": decoded(row.meta, JSON_CODEC),
        "history": [entry_facts(entry) for entry in history],
    }


def entry_facts(entry: HistoryEntry) -> dict[str, Any]:
    """Return one entry of a job's story."""
    from rota.result.why import moved

    return {
        "at": iso(entry.at),
        "kind": entry.kind,
        "fence": entry.fence,
        "worker": entry.worker or None,
        "started_at": iso(entry.started_at),
        "error": failure_facts(entry.failure, with_traceback=True),
        "moved": moved(entry),
    }


def failure_facts(failure: Failure | None, *, with_traceback: bool = False) -> dict[str, Any] | None:
    """Return what went wrong; in lists without its traceback."""
    if failure is None:
        return None
    facts: dict[str, Any] = {"type": failure.type, "message": failure.message}
    return facts | {"traceback": failure.traceback or None} if with_traceback else facts


def queue_facts(row: QueueRow) -> dict[str, Any]:
    """Return one queue."""
    return {
        "queue": row.name,
        "paused": row.is_paused,
        "waiting": row.waiting,
        "scheduled": row.scheduled,
        "running": row.running,
        "waiting_max": row.waiting_max,
    }


def worker_facts(
    row: WorkerRow, node: NodeRow | None, counts: Counts | None, *, keeps_house: bool, is_alive: bool | None
) -> dict[str, Any]:
    """Return one worker process; ``is_alive`` and what it counted are ``None`` where a look from here cannot tell."""
    return {
        "worker": row.name,
        "node": node.name if node else None,
        "incarnation": row.id,
        "pid": row.pid or None,
        "queues": list(row.queues),
        "tasks": list(row.tasks),
        "weight": row.weight,
        "held": row.held,
        "alone": row.is_alone,
        "draining": row.is_draining or bool(node and node.is_draining),
        "alive": is_alive,
        "orchestrator": keeps_house,
        "registered_at": iso(row.registered_at),
        "claimed_own": counts.own if counts else None,
        "claimed_stolen": counts.stolen if counts else None,
        "idle_while_ready_ms": round(counts.idle_us / 1_000) if counts else None,
    }


def check_facts(check: Check) -> dict[str, Any]:
    """Return one finding of ``rota doctor``."""
    return {"check": check.name, "level": check.level, "says": check.says, "advice": check.advice or None}


def decoded(data: bytes | None, codec: int) -> Any:
    """Return a stored value as JSON has it; ``None`` if there is none or it is not JSON."""
    if not data or codec != JSON_CODEC:
        return None
    try:
        return json.loads(data)
    except ValueError:
        return None
