"""The running table: which jobs a process was running, readable after its death.

    header  │ magic 8 │ writing since, ns 8 │ rows 4 │ … │ counts 3 x 8 │ …     64 bytes
    row     │ token 16 │ valid 1 │ …                              24 bytes, one a hand

A file that worker and supervisor both map. The kernel keeps what was written to the mapping however the process ends, so
after the reap the supervisor reads which jobs were running and whom a crash may be blamed on. A row is written before the
job's payload is even decoded (a payload can kill, too) and cleared when the outcome has been handed to the settler. Token
first, then the valid byte: a half-written row is not valid.

A child that a handler forks shares the mapping but must not speak for its parent: it is switched off there.

The counts are for people who look at a living worker (``rota workers``); nothing is decided by them.

Beside it a worker can leave a *will*: outcomes that may be recorded only once its process is gone, since the handlers were
still running (rota never settles a run that may still go on).

Invariants, each with the test that holds it:
    What was marked when the process was killed is read back.     tests/unit/worker/test_running.py
    A fork does not write.                                        tests/unit/worker/test_running.py
    What a living process counted is read without disturbing it.  tests/unit/worker/test_running.py
"""

from __future__ import annotations

import mmap
import os
import struct
import weakref
from pathlib import Path

import msgspec

from rota.model.outcome import Outcome
from rota.runtime.clock import SystemClock

_MAGIC = b"rotarun1"
_HEADER = 64
_ROW = 24
_SINCE = 8
_ROWS = 16
_COUNTS = 24
_COUNTS_FORMAT = "<QQQ"

_boot_ns = SystemClock().boot_ns
_open_tables: weakref.WeakSet[RunningTable] = weakref.WeakSet()


class Counts(msgspec.Struct, frozen=True):
    """What a worker has counted since its process began.

    Attributes:
        own: Jobs claimed from own slots.
        stolen: Jobs claimed from other workers' slots.
        idle_us: For how long hands were idle while something was ready, all hands together; see ``worker/idle.py``.
    """

    own: int
    stolen: int
    idle_us: int


class RunningTable:
    """A mapped running table. Make one with ``create`` (the supervisor) and map it with ``open`` (the worker)."""

    def __init__(self, path: str, mapping: mmap.mmap) -> None:
        self.path = path
        self._map = mapping
        self._rows: int = struct.unpack_from("<I", mapping, _ROWS)[0]
        self._is_mine = True
        _open_tables.add(self)

    @classmethod
    def create(cls, path: str, concurrency: int) -> RunningTable:
        """Make the file, with two rows for each job at once (one for the loop's hand, one for its thread), and map it."""
        rows = 2 * concurrency
        header = _MAGIC + struct.pack("<QI", 0, rows)
        with Path(path).open("xb") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(header.ljust(_HEADER, b"\0") + b"\0" * (_ROW * rows))
        return cls.open(path)

    @classmethod
    def open(cls, path: str) -> RunningTable:
        """Map an existing table.

        Raises:
            FileNotFoundError: There is none.
            ValueError: The file is something else.
        """
        with Path(path).open("r+b") as file:
            mapping = mmap.mmap(file.fileno(), 0)
        if mapping[:8] != _MAGIC:
            raise ValueError(f"{path} is not a running table")
        return cls(path, mapping)

    def mark(self, row: int, token: bytes) -> None:
        """Note that the job is being run by this hand. Must come before anything is done with the job."""
        if self._is_mine:
            at = _HEADER + _ROW * row
            self._map[at : at + 16] = token
            self._map[at + 16] = 1

    def clear(self, row: int) -> None:
        """Note that this hand is free: the outcome has been handed over."""
        if self._is_mine:
            self._map[_HEADER + _ROW * row + 16] = 0

    def running(self) -> list[bytes]:
        """Return the tokens that are marked. Once the process has been reaped: what it was running when it died."""
        starts = range(_HEADER, _HEADER + _ROW * self._rows, _ROW)
        return [self._map[at : at + 16] for at in starts if self._map[at + 16]]

    def began(self) -> None:
        """Note that this process has just become the store's writer."""
        if self._is_mine:
            struct.pack_into("<Q", self._map, _SINCE, _boot_ns())

    def ended(self) -> None:
        """Note that its write is over."""
        if self._is_mine:
            struct.pack_into("<Q", self._map, _SINCE, 0)

    @property
    def write_since_ns(self) -> int:
        """Since when it has been in a write, on ``CLOCK_BOOTTIME``; 0 when it is not."""
        since: int = struct.unpack_from("<Q", self._map, _SINCE)[0]
        return since

    def show(self, counts: Counts) -> None:
        """Show what has been counted so far."""
        if self._is_mine:
            struct.pack_into(_COUNTS_FORMAT, self._map, _COUNTS, counts.own, counts.stolen, counts.idle_us)

    def leave_will(self, outcomes: list[Outcome]) -> None:
        """Leave outcomes to be settled once this process has been reaped. Written whole or not at all."""
        draft = Path(self.path + ".will.draft")
        draft.write_bytes(msgspec.msgpack.encode(outcomes))
        draft.replace(self.path + ".will")

    @property
    def has_will(self) -> bool:
        """Whether the process has left a will, so has ended on purpose."""
        return Path(self.path + ".will").exists()

    def will(self) -> list[Outcome]:
        """Return what the process left to be settled; empty when it left nothing."""
        try:
            return msgspec.msgpack.decode(Path(self.path + ".will").read_bytes(), type=list[Outcome])
        except FileNotFoundError:
            return []

    def remove(self) -> None:
        """Remove the file and the will; the mapping stays valid until it is dropped."""
        for path in (self.path, self.path + ".will", self.path + ".will.draft"):
            Path(path).unlink(missing_ok=True)


def counts_in(path: str) -> Counts | None:
    """Return what the process of the table at this path has counted; ``None`` if that cannot be read. Changes nothing."""
    try:
        with Path(path).open("rb") as file:
            header = file.read(_HEADER)
    except OSError:
        return None
    if len(header) < _HEADER or header[: len(_MAGIC)] != _MAGIC:
        return None
    return Counts(*struct.unpack_from(_COUNTS_FORMAT, header, _COUNTS))


def _silence_in_child() -> None:
    for table in list(_open_tables):
        table._is_mine = False


os.register_at_fork(after_in_child=_silence_in_child)
