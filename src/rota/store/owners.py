"""Which workers of a node are told first of which slots: a file for each, beside the sockets, which the node's relay reads.

    worker: its ring has changed ──write──▶ own-worker-<incarnation> ──the folder's time of change──▶ relay

A worker writes what it takes for its own *before* it looks into those slots, and a relay sees that a file has changed when it
passes on the next wake-up. So what was committed before a look is found by the look, and what is told after it is told to the
worker that has looked: between two owners no wake-up is held up. What cannot be written or read costs time alone, since
a worker without a file is told everything, and everybody hears of everything a moment later.

Invariants, each with the test that holds it:
    A change is seen by the next wake-up, however soon it comes.    tests/unit/store/test_owners.py
    A worker whose file is missing or rubbish is told everything.   tests/unit/store/test_owners.py
    A dead worker's file goes with its socket.                      tests/unit/store/test_owners.py
"""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Collection, Mapping
from typing import Any, Final

import msgspec

from rota.model.limits import SLOT_COUNT

Own = Mapping[int, Collection[int]]
"""The slots that a worker takes for its own, by the number of each queue that it serves."""

_KIND: Final = "own"
_WORKER: Final = "worker"
_PIDS_MAX: Final = 1 << 22
"""Of Linux; no process id is as high."""

_marks = itertools.cycle(range(256))

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(dict[int, list[int]])


def tell_own(store: object, name: str, own: Own) -> None:
    """Tell which slots are a listener's own, where there is a relay that tells their owners first. Never raises.

    Args:
        name: Under which it listens, ``worker-<incarnation>``.
    """
    tell: Any = getattr(store, "tell_own", None)
    if tell is not None:
        tell(name, own)


def write_own(folder: str, name: str, own: Own) -> None:
    """Write down what is a listener's own; if that cannot be done, it will be told everything at once.

    Args:
        folder: In which it listens.
        name: Under which it listens.
    """
    path, draft = _path(folder, name), f"{folder}/draft-{name}"
    try:
        with open(draft, "wb") as file:
            file.write(_encoder.encode({queue_id: sorted(slots) for queue_id, slots in own.items()}))
        os.replace(draft, path)
        mark_changed(folder)
    except OSError:
        forget_own(folder, name)


def forget_own(folder: str, name: str) -> None:
    """Remove what was written for a listener."""
    with contextlib.suppress(OSError):
        os.unlink(_path(folder, name))
        mark_changed(folder)


def mark_changed(folder: str) -> None:
    """Give the folder a time of change that it has not had, at most a second ahead.

    Where files have the time of the last tick, as under most kernels, two changes within a tick look the same otherwise.
    """
    changed_at = os.stat(folder).st_mtime_ns
    os.utime(folder, ns=(changed_at, changed_at + next(_marks) * _PIDS_MAX + os.getpid()))


class Owners:
    """Who owns what, as the files of a folder say.

    Args:
        folder: Read by ``read``.

    Attributes:
        names: Workers who have said what is theirs.
        strangers: Those who have not: everything may be theirs.
        queues: Those that anybody of them serves.
        workers_about: About how many workers serve a queue altogether: a share of the slots tells it.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._by_slot: dict[tuple[int, int], list[str]] = {}
        self.names: list[str] = []
        self.strangers: list[str] = []
        self.queues: set[int] = set()
        self.workers_about = 1

    @property
    def slots(self) -> set[int]:
        """The slots that anybody of them owns, of whatever queue."""
        return {slot for _, slot in self._by_slot}

    def of(self, queue_id: int, slot: int) -> list[str]:
        """Return the workers who take a slot for their own: none, one, or for a moment two."""
        return self._by_slot.get((queue_id, slot), _NOBODY)

    def read(self, listeners: Mapping[str, Collection[str]]) -> None:
        """Read what everybody who listens has written, and remove what the dead have left.

        Args:
            listeners: Names by kind, as the folder has them.
        """
        workers = listeners.get(_WORKER, ())
        for file in listeners.get(_KIND, ()):
            name = file.partition("-")[2]
            if name not in workers:
                forget_own(self._folder, name)
        self._by_slot, self.queues = {}, set()
        self.names, self.strangers = [], []
        fullest = 0
        for name in workers:
            own = self._own_of(name)
            (self.strangers if own is None else self.names).append(name)
            for queue_id, slots in (own or {}).items():
                self.queues.add(queue_id)
                fullest = max(fullest, len(slots))
                for slot in slots:
                    self._by_slot.setdefault((queue_id, slot), []).append(name)
        self.workers_about = SLOT_COUNT // fullest if fullest else 1

    def _own_of(self, name: str) -> dict[int, list[int]] | None:
        try:
            with open(_path(self._folder, name), "rb") as file:
                return _decoder.decode(file.read())
        except (OSError, msgspec.DecodeError):
            return None


_NOBODY: list[str] = []


def _path(folder: str, name: str) -> str:
    return f"{folder}/{_KIND}-{name}"
