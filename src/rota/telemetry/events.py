"""Every event and every counter of rota, with its fields and their units: the one list.

An event is something unusual or rare that a person may want to read: a process that came or went, jobs that moved, a settle
that was refused. What happens a hundred thousand times a second (claims, settles) is counted, never told one by one.

Names are ``noun.verb`` in the past tense, or an adjective. A field means the same in every event.

Invariants, each with the test that holds it:
    Every ``emit`` and ``count`` in the source tree names something in this      tests/unit/telemetry/test_emits.py
      list, with fields that are listed.
    Everything in this list is told or counted somewhere.                        tests/unit/telemetry/test_emits.py
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Final


class Level(IntEnum):
    """How much an event matters. Numbers as in the standard library's ``logging``."""

    DEBUG = 10
    INFO = 20
    WARNING = 30
    ERROR = 40


@dataclass(frozen=True, slots=True)
class Event:
    """One kind of event.

    Attributes:
        name: ``noun.verb``.
        level: How much it matters.
        sentence: What it means, for a person who sees it for the first time.
        fields: Names of its fields; see ``FIELDS``. An emit may leave some out.
    """

    name: str
    level: Level
    sentence: str
    fields: tuple[str, ...]


FIELDS: Final[Mapping[str, str]] = {
    "alone": "yes or no: runs one suspect and ends",
    "app": "the application, module:name",
    "asked": "the name that was wanted",
    "attempt": "number, from 1",
    "by": "ring name of the node that did it",
    "claims_rows_dropped": "rows",
    "code": "exit code",
    "concurrency": "jobs at once in one worker",
    "condemned": "jobs",
    "deaths": "deaths in a row",
    "duty": "name of a duty of the house",
    "epoch": "number of the ring epoch",
    "error": "an exception: its class and message",
    "evidence": "how it is known",
    "fence": "number, raised by each claim",
    "given_back": "jobs",
    "grace_s": "seconds",
    "idle_s": "seconds for which hands were idle while something was ready, all hands together",
    "holder": "incarnation of the node that keeps the house",
    "incarnation": "the store's number for one process start",
    "jobs": "jobs",
    "jobs_of_closed_workers": "jobs",
    "joined": "ring names",
    "keys_without_head": "keys",
    "lease_ms": "milliseconds",
    "left": "ring names",
    "members": "workers in the ring",
    "memory_bytes": "bytes, the most that was used",
    "node": "ring name of a node, such as mitte",
    "outcomes": "jobs",
    "own": "jobs claimed from own slots",
    "pid": "process id",
    "processes": "processes",
    "proof": "how others see that it lives",
    "queue": "name",
    "queues": "names",
    "running": "jobs",
    "seconds": "how long it took or has lasted",
    "signal": "number of a signal",
    "slots_moved": "slots",
    "slots_own": "slots",
    "stolen": "jobs claimed from other workers' slots",
    "store": "where it is, without secrets",
    "suspects": "jobs that were running at a crash",
    "task": "name",
    "tasks": "tasks known",
    "timeout_ms": "milliseconds",
    "token": "a job's token: 16 bytes in an emit, the usual 36 characters in every sink",
    "wait_s": "seconds until it is tried again",
    "why": "a reason in words",
    "worker": "ring name of a worker, such as mitte/1",
}
"""What each field holds and in which unit."""


def _event(name: str, level: Level, sentence: str, fields: str) -> Event:
    return Event(name, level, sentence, tuple(fields.split()))


_I, _W, _E = Level.INFO, Level.WARNING, Level.ERROR

_PROCESSES = (
    _event("keeper.started", _I, "The keeper of this node is up and starts its supervisor.", "pid app"),
    _event("keeper.ended", _I, "The keeper ends, after its supervisor.", "pid code seconds"),
    _event(
        "keeper.died",
        _E,
        "The keeper is gone and its node drains, since nobody would start it again: start another node.",
        "pid",
    ),
    _event("signal.received", _I, "A signal asked this process to drain or to end.", "signal pid"),
    _event(
        "supervisor.started",
        _I,
        "A supervisor is up; it starts the node's workers.",
        "node pid processes concurrency store",
    ),
    _event(
        "supervisor.died",
        _E,
        "The supervisor died, its workers with it; the keeper starts another one.",
        "pid signal code wait_s",
    ),
    _event(
        "supervisor.write_stuck",
        _E,
        "The supervisor was stopped inside a write transaction and was killed, so that others can write.",
        "pid seconds",
    ),
    _event("supervisor.ended", _I, "The supervisor has ended in good order.", "node pid code"),
    _event("node.registered", _I, "The node is known to the store.", "node incarnation epoch proof lease_ms"),
    _event("node.renamed", _W, "The name was taken by a living node, so this one got a suffix.", "node asked"),
    _event("node.draining", _I, "The node takes no more jobs and finishes those it has.", "node grace_s"),
    _event(
        "node.closed",
        _W,
        "A node was seen dead and has been closed; its jobs go back to the line.",
        "node incarnation by evidence seconds",
    ),
    _event("worker.started", _I, "A worker process has been started.", "worker node pid alone"),
    _event(
        "worker.registered",
        _I,
        "A worker has joined the ring.",
        "worker incarnation pid epoch queues tasks concurrency",
    ),
    _event("worker.draining", _I, "A worker stops claiming and finishes.", "worker running grace_s"),
    _event(
        "worker.ended",
        _I,
        "A worker has ended in good order.",
        "worker pid code jobs given_back seconds own stolen idle_s",
    ),
    _event(
        "worker.died",
        _E,
        "A worker process died; another takes its place on the ring.",
        "worker pid signal code running memory_bytes seconds",
    ),
    _event("worker.delayed", _W, "A worker keeps dying, so its next start waits.", "worker deaths wait_s"),
    _event("worker.put_off", _I, "A worker is not started yet, since its node's lease is not good.", "worker why"),
    _event("worker.killed", _W, "The supervisor killed a worker.", "worker pid why seconds"),
    _event(
        "worker.write_stuck",
        _E,
        "A worker stood still inside a write transaction and was killed, so that others can write.",
        "worker pid seconds",
    ),
    _event("worker.recycled", _W, "A worker is replaced by a fresh process; nobody is blamed.", "worker why"),
    _event(
        "worker.disowned",
        _E,
        "This worker was declared dead by others: it starts nothing any more and ends.",
        "worker incarnation",
    ),
    _event(
        "worker.rescued",
        _W,
        "What a dead worker held is back in its places and can be claimed again.",
        "worker incarnation jobs suspects condemned seconds",
    ),
    _event("worker.crashed", _E, "A worker ends because of an error of its own.", "worker error"),
    _event("workers.left", _W, "Processes that a dead worker had started were killed.", "worker pid processes"),
    _event(
        "lease.late",
        _W,
        "The node's lease could not be renewed; it is tried again, by fresh connections.",
        "node error seconds",
    ),
    _event(
        "lease.lapsed",
        _E,
        "The lease was not renewed in time: the node's workers are stopped before others may start their jobs.",
        "node seconds",
    ),
    _event("lease.regained", _I, "The lease has been renewed; workers may run again.", "node seconds"),
    _event(
        "node.unfenced",
        _W,
        "Nothing stops this node's workers when the store is lost: a job may then be run by two workers at once.",
        "node why",
    ),
)

_WORK = (
    _event("worker.paused", _W, "A worker claims nothing until the store answers, or has room, again.", "worker why"),
    _event("worker.resumed", _I, "A worker claims again.", "worker seconds"),
    _event(
        "loop.blocked",
        _W,
        "The event loop is blocked by user code; claimed jobs that cannot start were given back.",
        "worker seconds jobs",
    ),
    _event("jobs.given_back", _I, "Claimed jobs went back to their places, uncounted.", "worker jobs why"),
    _event("jobs.adopted", _W, "Jobs of a claim whose reply was lost were found and are run.", "worker jobs"),
    _event("claim.unknown", _W, "The reply to a claim was lost; what it took is looked up.", "worker error"),
    _event("settle.failed", _W, "A settle failed and is tried again.", "worker outcomes error wait_s"),
    _event("settle.unknown", _W, "The reply to a settle was lost; it is sent again.", "worker outcomes error"),
)

_JOBS = (
    _event("job.retried", _I, "An attempt failed; the job is tried again.", "token task attempt wait_s error worker"),
    _event(
        "job.failed",
        _E,
        "A job has failed for good and is kept as a dead letter: see `rota job TOKEN`.",
        "token task attempt error worker",
    ),
    _event(
        "job.timed_out",
        _W,
        "A job passed its time limit and its attempt is over.",
        "token task attempt timeout_ms worker",
    ),
    _event(
        "job.overran",
        _W,
        "A handler in a thread passed its time limit; its worker is recycled if it does not come back within the grace.",
        "token task timeout_ms grace_s worker",
    ),
    _event("job.cancelled", _I, "A running job was cancelled.", "token task worker"),
    _event("job.expired", _I, "A job was not started in time and was dropped.", "token task worker"),
    _event(
        "job.stale",
        _W,
        "A result was refused: the job had been released and is another run's now. It was not recorded.",
        "token fence worker",
    ),
    _event(
        "job.suspected",
        _W,
        "A job was running when its process died. From the second time on it runs alone.",
        "token worker",
    ),
    _event("job.condemned", _E, "A job killed its process while it ran alone; it has failed for good.", "token worker"),
)

_HOUSE = (
    _event("store.lost", _E, "The store cannot be reached; it is tried again.", "store error"),
    _event("store.returned", _I, "The store can be reached again.", "store seconds"),
    _event("store.broken", _E, "The disk reported an error, or the file is damaged. Work stops here.", "store error"),
    _event(
        "ring.changed",
        Level.DEBUG,
        "The members of a queue's ring changed and slots moved with them.",
        "queue epoch members joined left slots_moved slots_own worker",
    ),
    _event("queue.paused", _I, "A queue was paused: it accepts jobs and starts none.", "queue worker"),
    _event("queue.resumed", _I, "A queue was resumed.", "queue worker"),
    _event("orchestrator.elected", _I, "This node keeps the house now.", "node incarnation"),
    _event("orchestrator.changed", _I, "Another node keeps the house now.", "node holder"),
    _event("duty.failed", _W, "A duty of the house failed and is tried again.", "duty error wait_s"),
    _event("waiting.expired", _I, "Jobs that no worker had started in time were dropped.", "jobs"),
    _event("finished.pruned", _I, "Finished jobs past their retention were removed.", "jobs seconds"),
    _event(
        "store.swept",
        _W,
        "The sweep mended something that should not have been: please report it.",
        "keys_without_head jobs_of_closed_workers claims_rows_dropped",
    ),
    _event("rescue.failed", _E, "A dead worker's jobs could not be released yet; it is tried again.", "worker error"),
    _event("watch.failed", _W, "The members could not be read; it is tried again.", "node error"),
)

EVENTS: Final[Mapping[str, Event]] = {event.name: event for event in (*_PROCESSES, *_WORK, *_JOBS, *_HOUSE)}
"""Every event by name."""

COUNTERS: Final[Mapping[str, str]] = {
    "claims.calls": "claims sent to the store",
    "claims.empty": "claims that returned nothing",
    "claims.own": "jobs claimed from own slots",
    "claims.stolen": "jobs claimed from other workers' slots",
    "hands.idle_us": "microseconds for which hands were idle while something was ready, all hands together",
    "settles.calls": "settles sent to the store",
    "settles.outcomes": "outcomes settled",
    "settles.stale": "outcomes refused",
    "jobs.succeeded": "attempts that succeeded",
    "jobs.failed": "jobs failed for good",
    "jobs.retried": "attempts that failed and are tried again",
    "jobs.snoozed": "runs that asked to come back later",
    "jobs.cancelled": "running jobs cancelled",
    "jobs.expired": "jobs not started in time",
    "claims.given_back": "claimed jobs given back, uncounted",
    "claims.adopted": "jobs found after a lost reply",
    "telemetry.sink_failed": "times that a sink raised; the event is lost to it",
}
"""What is counted beside the events, and in what. Each event is also counted under its own name."""
