"""A job's life, told line by line, from its row and its history."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rota.cli.facts import submitted_us
from rota.cli.words import one_line
from rota.model.span import span
from rota.model.state import State

if TYPE_CHECKING:
    from rota.model.job import HistoryEntry, JobRow


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that happened.

    Attributes:
        at: When, microseconds since 1970.
        text: What.
        style: ``red`` for what went wrong, ``dim`` for what is only good to know.
    """

    at: int
    text: str
    style: str = ""


def story_of(row: JobRow, history: list[HistoryEntry]) -> list[Line]:
    """Return what happened to a job, oldest first; the last line is its end, or where it is now."""
    lines = [Line(submitted_us(row.token), f"submitted to {row.queue}", "dim")]
    attempt = 0
    for entry in history:
        if entry.kind == "failed":
            attempt += 1
        elif entry.kind == "reopened":
            attempt = 0
        lines.append(_of_entry(entry, attempt))
    last = _end_of(row) if row.state.is_final else _now_of(row, history)
    return [*lines, *last]


def _of_entry(entry: HistoryEntry, attempt: int) -> Line:
    worker = entry.worker or "a worker"
    took = f" after {span(entry.at - entry.started_at)}" if entry.started_at is not None else ""
    why = f": {one_line(entry.failure.says)}" if entry.failure is not None else ""
    match entry.kind:
        case "failed":
            return Line(entry.at, f"attempt {attempt} failed on {worker}{took}{why}", "red")
        case "crashed" if entry.failure is not None and entry.failure.type == "NodeLost":
            return Line(entry.at, f"moved away from {worker}: it died with its node while it held the job{why}", "red")
        case "crashed":
            return Line(entry.at, f"moved away from {worker}: its process died while the job ran{took}{why}", "red")
        case "released" if entry.failure is not None and entry.failure.blames_nobody:
            says = f"given back, uncounted: {one_line(entry.failure.message)}"
            return Line(entry.at, says, "yellow")
        case "released":
            return Line(entry.at, f"moved away from {worker}: it was gone before the job had started{why}", "yellow")
        case "stale":
            says = f"a result from {worker} was refused: it came from a run that no longer held the job"
            return Line(entry.at, f"{says} (fence {entry.fence})", "yellow")
        case "reopened":
            return Line(entry.at, "put back by a person: attempts start again at 1", "blue")
        case _:
            return Line(entry.at, f"{entry.kind} on {worker}{took}{why}")


def _end_of(row: JobRow) -> list[Line]:
    at = row.settled_at or submitted_us(row.token)
    took = f" after {span(at - row.started_at)}" if row.started_at is not None else ""
    where = f" on {row.holder}" if row.holder else ""
    match row.state:
        case State.SUCCEEDED:
            return [Line(at, f"succeeded{where}{took}", "green")]
        case State.FAILED:
            why = f": {one_line(row.failure.says)}" if row.failure is not None else ""
            count = "1 attempt" if row.attempts == 1 else f"{row.attempts} attempts"
            return [Line(at, f"failed for good{where} after {count}{why}", "red")]
        case State.EXPIRED:
            return [Line(at, "expired: it was not started in time", "yellow")]
        case _:
            return [Line(at, f"{row.state.value}{where}{took if where else ''}", "yellow")]


def _now_of(row: JobRow, history: list[HistoryEntry]) -> list[Line]:
    from rota.result.why import has_snoozed

    asked = ", asked to stop" if row.cancel_asked else ""
    if row.state is State.RUNNING and row.claimed_at is not None:
        return [Line(row.claimed_at, f"attempt {row.attempts + 1} taken by {row.holder or 'a worker'}{asked}", "cyan")]
    if row.state is State.SCHEDULED and row.due_at is not None and has_snoozed(row, history):
        return [Line(row.due_at, "is due again: its handler asked to be called later (Snooze), uncounted", "blue")]
    return []
