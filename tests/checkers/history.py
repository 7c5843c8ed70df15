"""What was seen to happen, as plain events in a file: the evidence that checkers judge.

    submitter ──▶┐
    handlers  ──▶├─ O_APPEND, one JSON line an event ─▶ history ─▶ checkers
    the test  ──▶┘

Every process writes what it has seen itself, at the moment that it saw it, on the host's boot clock, which all processes
share and which never jumps. One ``write`` a line, so that a killed process leaves whole lines (or a torn last one, which is
dropped). An unknown reply is an event of its own: it is neither a success nor a failure.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeAlias

import msgspec
from msgspec import Struct


class Event(Struct, frozen=True, tag_field="what", kw_only=True):
    """Something that was seen.

    Attributes:
        at: Nanoseconds since boot.
    """

    at: int


class Submitting(Event, tag="submitting", frozen=True, kw_only=True):
    """A call of ``submit`` begins; written before it, so ``at`` is not later than its begin.

    Attributes:
        token: As text, like all tokens here.
        batch: Jobs of one call carry the same text; empty for a call of its own.
        index: The job's number within its call.
        is_delayed: It has a time before which it may not run.
    """

    token: str
    queue: str
    key: str | None = None
    batch: str = ""
    index: int = 0
    is_delayed: bool = False


class Submitted(Event, tag="submitted", frozen=True, kw_only=True):
    """The call returned: the job is accepted; written after it, so ``at`` is not earlier than its end."""

    token: str


class SubmitRefused(Event, tag="submit_refused", frozen=True, kw_only=True):
    """The call failed and said that nothing was written."""

    token: str


class SubmitUnknown(Event, tag="submit_unknown", frozen=True, kw_only=True):
    """The reply was lost: the job may be in or not."""

    token: str


class Started(Event, tag="started", frozen=True, kw_only=True):
    """A handler's first line.

    Attributes:
        worker: The process that runs it, by a text that no other process has had.
    """

    token: str
    fence: int
    worker: str


class Alive(Event, tag="alive", frozen=True, kw_only=True):
    """A handler in the middle of its work."""

    token: str
    fence: int


class Ended(Event, tag="ended", frozen=True, kw_only=True):
    """A handler's last line."""

    token: str
    fence: int


class Killed(Event, tag="killed", frozen=True, kw_only=True):
    """A process is about to be killed; written before the signal is sent, so it lived at ``at``."""

    worker: str


class Settled(Event, tag="settled", frozen=True, kw_only=True):
    """The store said that this final outcome is recorded (at once, or when it was asked again)."""

    token: str
    fence: int
    state: str


class SettleUnknown(Event, tag="settle_unknown", frozen=True, kw_only=True):
    """The reply was lost: the outcome may be recorded or not."""

    token: str
    fence: int
    state: str


class SettleStale(Event, tag="settle_stale", frozen=True, kw_only=True):
    """The store refused this outcome."""

    token: str
    fence: int


class Cancelled(Event, tag="cancelled", frozen=True, kw_only=True):
    """A cancel was asked for; ``state`` is what it found, empty when its reply was lost."""

    token: str
    state: str = ""


class Reopened(Event, tag="reopened", frozen=True, kw_only=True):
    """A person put a finished job back."""

    token: str


class Released(Event, tag="released", frozen=True, kw_only=True):
    """The store gave back what a worker held; by then its process must have been dead.

    Attributes:
        worker: The process, as in ``Started``; empty when it is not known.
        jobs: How many went back.
    """

    worker: str
    jobs: int


class Closed(Event, tag="closed", frozen=True, kw_only=True):
    """The store declared a worker dead; by then its process must have been."""

    worker: str


class Renewed(Event, tag="renewed", frozen=True, kw_only=True):
    """A node registered, or its lease was renewed, in the store.

    Attributes:
        node: Its supervisor's process, by a text that no other has had.
    """

    node: str


class NodeClosed(Event, tag="node_closed", frozen=True, kw_only=True):
    """Somebody else closed a node.

    Attributes:
        is_alive: Its supervisor lived.
        by: Who closed it, as in ``Renewed``; empty when it is not known.
    """

    node: str
    is_alive: bool
    by: str = ""


class Restored(Event, tag="restored", frozen=True, kw_only=True):
    """The store can be reached again, or can be written to again, or is no longer slow: by now everybody can renew.

    Attributes:
        could_read: It could be read all the time, or whenever somebody looked: an outage may fall between two looks. Then only
            who waited for an answer for half a lease knows of it.
    """

    could_read: bool = False


class Yielded(Event, tag="yielded", frozen=True, kw_only=True):
    """The store recorded an outcome that is not final: a retry, a snooze, a job given back."""

    token: str
    fence: int


class Condemned(Event, tag="condemned", frozen=True, kw_only=True):
    """A job was settled as failed because of the end of this worker.

    Attributes:
        is_known: What the worker was running is known; else all that it held counts, as after the loss of a machine.
    """

    token: str
    worker: str
    is_known: bool = True


class Left(Event, tag="left", frozen=True, kw_only=True):
    """What was there when all was over.

    Attributes:
        kind: Of what, in the plural.
        count_max: How many may be.
    """

    kind: str
    count: int
    count_max: int = 0


class Sampled(Event, tag="sampled", frozen=True, kw_only=True):
    """The store while all goes on: its rows, and what it counts itself.

    Attributes:
        live, finished: Rows of either table.
        counted_live, counted_finished: Its own counts at the same instant.
        keys_without_head: Keys that have a due job and no head.
    """

    live: int
    finished: int
    counted_live: int
    counted_finished: int
    keys_without_head: int = 0


class Found(Event, tag="found", frozen=True, kw_only=True):
    """A row of the store when all was over."""

    token: str
    state: str
    fence: int = 0


class Counted(Event, tag="counted", frozen=True, kw_only=True):
    """The store's own counts when all was over."""

    live: int
    finished: int


class RingSeen(Event, tag="ring_seen", frozen=True, kw_only=True):
    """A ring: who owns each slot."""

    queue: str
    epoch: int
    owners: Sequence[str]


AnyEvent: TypeAlias = (
    Submitting
    | Submitted
    | SubmitRefused
    | SubmitUnknown
    | Started
    | Alive
    | Ended
    | Killed
    | Settled
    | SettleUnknown
    | SettleStale
    | Cancelled
    | Reopened
    | Released
    | Closed
    | Yielded
    | Renewed
    | NodeClosed
    | Restored
    | Condemned
    | Left
    | Sampled
    | Found
    | Counted
    | RingSeen
)
History: TypeAlias = Sequence[AnyEvent]
FINAL = frozenset({"succeeded", "failed", "cancelled", "expired"})

_decode = msgspec.json.Decoder(AnyEvent).decode
_encode = msgspec.json.Encoder().encode


class Broken(Struct, frozen=True):
    """A truth that does not hold.

    Attributes:
        truth: Which.
        says: What was seen instead, with tokens and times.
    """

    truth: str
    says: str


class Recorder:
    """Appends events to a file that many processes share.

    Opened at the first event, so that it may be made before a fork; one ``write`` an event, never buffered.
    """

    def __init__(self, path: Path | str) -> None:
        self._path = os.fspath(path)
        self._file: int | None = None
        self._pid = 0

    def saw(self, event: AnyEvent) -> None:
        """Write one event, whole, before returning."""
        if self._file is None or self._pid != os.getpid():
            self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            self._pid = os.getpid()
        os.write(self._file, _encode(event) + b"\n")

    def close(self) -> None:
        """Let go of the file. Safe to call twice."""
        if self._file is not None and self._pid == os.getpid():
            os.close(self._file)
        self._file = None


def read_history(path: Path | str) -> list[AnyEvent]:
    """Return the events of a file in the order of their times; a torn last line, of a process that was killed, is dropped.

    Raises:
        msgspec.DecodeError: If any whole line is not an event.
    """
    lines = Path(path).read_bytes().split(b"\n")
    return in_order(_decode(line) for line in lines[:-1])


def in_order(events: Iterable[AnyEvent]) -> list[AnyEvent]:
    """Return the events by time; those of one instant stay as they were written."""
    return sorted(events, key=lambda event: event.at)
