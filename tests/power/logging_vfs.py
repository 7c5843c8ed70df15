"""A file system for SQLite that writes down all that would reach a disk, in the order in which it happened.

    SqliteStore ──▶ SQLite ──▶ LoggingVfs ──▶ the usual one
                                   │
                                   └──▶ log: made · write · truncate · sync · delete · link · folder

The store knows nothing of it: while ``recording`` lasts it is the default for every connection that is opened, also those
of a backup. What the store does without SQLite (it brings the names in a folder to the disk, and gives a backup its name) is
heard at ``os``. The log is appended to from any thread, under the interpreter's lock; what an entry says had been handed to the
operating system when the entry was made, and a sync is noted only when it has returned.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, Literal, TypeAlias
from unittest import mock

import apsw

Entry: TypeAlias = (
    tuple[Literal["made"], str, int]
    | tuple[Literal["write"], int, int, bytes]
    | tuple[Literal["truncate"], int, int]
    | tuple[Literal["sync"], int]
    | tuple[Literal["doomed"], int]
    | tuple[Literal["delete"], str]
    | tuple[Literal["link"], str, int]
    | tuple[Literal["folder"]]
)
"""What happened: to a name (in the one folder that is watched), or to a file by its number. ``doomed``: a sync failed."""

_LOGGED: Final = apsw.SQLITE_OPEN_MAIN_DB | apsw.SQLITE_OPEN_MAIN_JOURNAL | apsw.SQLITE_OPEN_WAL
_NEW_NAMES: Final = apsw.SQLITE_OPEN_MAIN_JOURNAL | apsw.SQLITE_OPEN_WAL
_BASE: Final = "unix"


class Log:
    """What happened in one folder.

    Args:
        folder: The folder; files elsewhere are nobody's business.

    Attributes:
        entries: What happened, in order.
        numbers: The number of the file behind each name, as of now.
    """

    def __init__(self, folder: str) -> None:
        self.folder = os.path.realpath(folder)
        self.entries: list[Entry] = []
        self.numbers: dict[str, int] = {}
        self._next = 0

    @property
    def now(self) -> int:
        """How much has happened: a place in the log between two entries."""
        return len(self.entries)

    def name_of(self, path: str) -> str | None:
        """Return the name within the folder, ``None`` for what lies elsewhere."""
        folder, name = os.path.split(os.path.realpath(path))
        return name if folder == self.folder else None

    def number_of(self, name: str) -> int:
        """Return the number of the file of this name, which is made if there is none."""
        if name not in self.numbers:
            self.numbers[name] = self._next
            self._next += 1
            self.entries.append(("made", name, self.numbers[name]))
        return self.numbers[name]

    def deleted(self, name: str) -> None:
        """Note that a name is gone; its file may have others."""
        if self.numbers.pop(name, None) is not None:
            self.entries.append(("delete", name))

    def linked(self, name: str, new: str) -> None:
        """Note that a file got one more name."""
        self.numbers[new] = self.numbers[name]
        self.entries.append(("link", new, self.numbers[new]))


class LoggingVfs(apsw.VFS):
    """Hands everything on to SQLite's own, and writes it down."""

    def __init__(self, name: str, log: Log) -> None:
        self._log = log
        super().__init__(name, _BASE, makedefault=True)

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:
        """Open a file; of those that matter return one that is logged."""
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        logged = self._log.name_of(path) if path is not None and flags[0] & _LOGGED else None
        if logged is None:
            return apsw.VFSFile(_BASE, name, flags)
        return self.logged_file(logged, name, flags)

    def logged_file(self, logged: str, name: Any, flags: list[int]) -> apsw.VFSFile:
        """Return an open file that is logged."""
        return LoggedFile(self._log, logged, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:
        """Delete a file."""
        super().xDelete(filename, syncdir)
        name = self._log.name_of(filename)
        if name is not None:
            self._log.deleted(name)
            if syncdir:
                self._log.entries.append(("folder",))


class LoggedFile(apsw.VFSFile):
    """A file whose changes are written down."""

    def __init__(self, log: Log, logged: str, name: Any, flags: list[int]) -> None:
        # SQLite brings the name of a new log or journal to the disk together with the file's first sync.
        self._names_are_new = bool(flags[0] & _NEW_NAMES and flags[0] & apsw.SQLITE_OPEN_CREATE)
        super().__init__(_BASE, name, flags)
        self._log = log
        self._number = log.number_of(logged)

    def xWrite(self, data: bytes, offset: int) -> None:
        self._log.entries.append(("write", self._number, offset, bytes(data)))
        super().xWrite(data, offset)

    def xTruncate(self, newsize: int) -> None:
        self._log.entries.append(("truncate", self._number, newsize))
        super().xTruncate(newsize)

    def xSync(self, flags: int) -> None:
        super().xSync(flags)
        self._log.entries.append(("sync", self._number))
        if self._names_are_new:
            self._names_are_new = False
            self._log.entries.append(("folder",))


@contextmanager
def recording(folder: str, make: Callable[[str, Log], LoggingVfs] = LoggingVfs) -> Iterator[Log]:
    """Log all that happens in a folder until the block ends. Connections opened in it must be closed in it.

    Args:
        make: Makes the file system that logs.
    """
    log = Log(folder)
    sync, link, unlink = os.fsync, os.link, os.unlink

    def heard_sync(file: int) -> None:
        sync(file)
        if stat.S_ISDIR(os.fstat(file).st_mode) and os.path.realpath(f"/proc/self/fd/{file}") == log.folder:
            log.entries.append(("folder",))

    def heard_link(source: str, target: str, **more: Any) -> None:
        link(source, target, **more)
        if (old := log.name_of(source)) in log.numbers and (new := log.name_of(target)) is not None:
            log.linked(str(old), new)

    def heard_unlink(path: str, **more: Any) -> None:
        unlink(path, **more)
        if (gone := log.name_of(path)) is not None:
            log.deleted(gone)

    vfs = make("rota-logging", log)
    try:
        with mock.patch.multiple(os, fsync=heard_sync, link=heard_link, unlink=heard_unlink):
            yield log
    finally:
        vfs.unregister()
