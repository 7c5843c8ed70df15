"""A disk that fails at one chosen call: a write, a sync, a truncation or a read of SQLite's.

    SqliteStore ──▶ SQLite ──▶ FaultyVfs ──▶ LoggingVfs ──▶ the usual one
                                  │
                                  └ the n-th call of a kind raises what SQLite would have been told by the system

A sync that fails does as Linux does: what was written before it counts as written, is still read by everybody, and no later
sync brings it to the disk. So the log says ``doomed`` of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import apsw

from tests.power.logging_vfs import Log, LoggedFile, LoggingVfs, recording

WRITE_FAILS: Final = ("write", apsw.SQLITE_IOERR_WRITE)
SYNC_FAILS: Final = ("sync", apsw.SQLITE_IOERR_FSYNC)
TRUNCATE_FAILS: Final = ("truncate", apsw.SQLITE_IOERR_TRUNCATE)
READ_FAILS: Final = ("read", apsw.SQLITE_IOERR_READ)
READ_IS_SHORT: Final = ("read", apsw.SQLITE_IOERR_SHORT_READ)
DISK_IS_FULL: Final = ("write", apsw.SQLITE_FULL)


class Trouble:
    """What goes wrong, and when.

    Attributes:
        calls: How many calls of each kind have been made, refused ones too.
        after: How many of each kind were made after the one that failed.
    """

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.after: Counter[str] = Counter()
        self._kind, self._code, self._at = "", 0, 0
        self.has_struck = False
        self.where = ""

    def strike(self, fault: tuple[str, int], at: int) -> None:
        """Let the call with this number from now on fail; the first is 1. What is counted begins anew."""
        (self._kind, self._code), self._at = fault, at
        self.calls.clear()
        self.after.clear()
        self.has_struck = False

    def met(self, kind: str, name: str) -> bool:
        """Count a call and return whether it is the one that fails."""
        self.calls[kind] += 1
        if self.has_struck:
            self.after[kind] += 1
        elif kind == self._kind and self.calls[kind] == self._at:
            self.has_struck, self.where = True, name
            return True
        return False

    @property
    def error(self) -> apsw.Error:
        """What SQLite is told."""
        error = apsw.exception_for(self._code)
        assert isinstance(error, apsw.Error)
        return error

    @property
    def is_short_read(self) -> bool:
        """Whether the call does not fail, but gives less than was asked for."""
        return self._code == apsw.SQLITE_IOERR_SHORT_READ


class FaultyVfs(LoggingVfs):
    """Hands everything on, but for the call that fails."""

    def __init__(self, name: str, log: Log, trouble: Trouble) -> None:
        self._trouble = trouble
        super().__init__(name, log)

    def logged_file(self, logged: str, name: Any, flags: list[int]) -> apsw.VFSFile:
        """Return a file that can fail."""
        return _FaultyFile(self._trouble, self._log, logged, name, flags)


class _FaultyFile(LoggedFile):
    def __init__(self, trouble: Trouble, log: Log, logged: str, name: Any, flags: list[int]) -> None:
        self._trouble = trouble
        self._name = logged
        super().__init__(log, logged, name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:
        if self._trouble.met("write", self._name):
            raise self._trouble.error
        super().xWrite(data, offset)

    def xTruncate(self, newsize: int) -> None:
        if self._trouble.met("truncate", self._name):
            raise self._trouble.error
        super().xTruncate(newsize)

    def xSync(self, flags: int) -> None:
        if self._trouble.met("sync", self._name):
            self._log.entries.append(("doomed", self._number))
            raise self._trouble.error
        super().xSync(flags)

    def xRead(self, amount: int, offset: int) -> bytes:
        if self._trouble.met("read", self._name):
            if self._trouble.is_short_read:
                return super().xRead(amount, offset)[: amount // 2]
            raise self._trouble.error
        return super().xRead(amount, offset)


@contextmanager
def failing(folder: str) -> Iterator[tuple[Trouble, Log]]:
    """Make what happens in a folder fail as the yielded ``Trouble`` is told to. Connections must be closed in the block."""
    trouble = Trouble()
    with recording(folder, lambda name, log: FaultyVfs(name, log, trouble)) as log:
        yield trouble, log
