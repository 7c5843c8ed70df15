"""Open a SQLite file as rota needs it.

Every connection has the write-ahead log, a commit that waits for the disk, and a busy handler that sleeps in short steps: in
three processes that did nothing but write, the longest wait for the lock was 0.1 s with it, 2.1 s with SQLite's own growing
steps, and "setlk" gave up at once instead of waiting.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import weakref
from collections.abc import Callable
from typing import Final, Protocol

import apsw

from rota.errors import ConfigError, StoreBrokenError, StoreUnavailableError
from rota.store.sqlite.faults import translate
from rota.store.sqlite.filesystem import refuse_network
from rota.store.sqlite.mend import leave_note, mend
from rota.store.sqlite.migrate import migrate
from rota.store.sqlite.rights import refuse_unless_writable

MEMORY: Final = ":memory:"
SAFE_VERSION: Final = (3, 51, 3)
"""Older ones can damage a file that several processes write (the WAL-reset bug)."""

DURABILITIES: Final = ("off", "normal", "full")
"""As SQLite numbers them."""

_CACHE_KIB: Final = 2 * 1024
"""Small: SQLite looks through all of it after each commit in which pages of an index have changed places (decision 0028)."""

_SPILL_PAGES: Final = 8_192
"""How many pages one transaction may change before it writes some of them early, and perhaps again at its end."""

_MMAP_BYTES: Final = 256 * 1024 * 1024
_WAL_BYTES_KEPT: Final = 64 * 1024 * 1024
_STATEMENTS_CACHED: Final = 512
_STEP_S: Final = 0.000_2
_STEP_MAX_S: Final = 0.003


class WriteMark(Protocol):
    """Told when this process is in a write transaction, so that a supervisor sees one that is stuck in it."""

    def began(self) -> None:
        """Note that the write lock was granted."""
        ...

    def ended(self) -> None:
        """Note that it was let go."""
        ...


class NoMark:
    """Tells nobody."""

    def began(self) -> None:
        """Do nothing."""

    def ended(self) -> None:
        """Do nothing."""


_open: weakref.WeakSet[apsw.Connection] = weakref.WeakSet()


def open_connection(path: str, *, busy_timeout_ms: int, durability: str, is_reader: bool = False) -> apsw.Connection:
    """Open a file, make it if need be, and bring its schema up to date (not for a reader).

    Args:
        path: The file, or ``:memory:``.
        busy_timeout_ms: How long to wait for the lock of another process.
        durability: ``full``, ``normal`` or ``off``.
        is_reader: It will never write.

    Raises:
        ConfigError: An unknown durability.
        UnsupportedStoreError: A network file system, or a file of another program.
        SchemaVersionError: It was made by a newer rota.
        StoreReadOnlyError: It may not be written by this user.
        StoreError: It cannot be opened.
    """
    if durability not in DURABILITIES:
        raise ConfigError(
            f"durability={durability!r}: choose full (nothing accepted is lost), normal (a power cut may lose the last "
            "moments) or off (a power cut may damage the file).",
            value=durability,
        )
    if path != MEMORY:
        refuse_network(path)
        refuse_unless_writable(path)
    is_new = path != MEMORY and not os.path.exists(path)
    if is_new and is_reader:
        raise StoreUnavailableError(f"{path} is gone. Nothing was read.", path=path)
    try:
        db = apsw.Connection(path, statementcachesize=_STATEMENTS_CACHED)
    except apsw.Error as error:
        raise translate(error, path) from error
    try:
        _set_up(db, path, busy_timeout_ms, durability)
        if is_new:
            sync_folder(path)
        if is_reader:
            db.pragma("query_only", True)
        else:
            migrate(db, path)
            mend(db, path)
    except apsw.Error as error:
        ours = translate(error, path)
        _give_up(db, path, ours)
        raise ours from error
    except BaseException as error:
        _give_up(db, path, error)
        raise
    keep_in_children(db)
    return db


def keep_in_children(db: apsw.Connection) -> None:
    """Have forked children leave a connection alone: it is their parent's."""
    _open.add(db)


def _give_up(db: apsw.Connection, path: str, error: BaseException) -> None:
    """Close what could not be made ready."""
    if isinstance(error, StoreBrokenError):
        leave_note(path)
        let_go(db)
    else:
        db.close()


def let_go(db: apsw.Connection) -> None:
    """Close a connection to a disk that has failed, without moving its log: nothing more is written there."""
    with contextlib.suppress(apsw.Error):
        db.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        db.close()


def _set_up(db: apsw.Connection, path: str, busy_timeout_ms: int, durability: str) -> None:
    if path != MEMORY:
        _use_log(db, busy_timeout_ms)
    db.set_busy_handler(busy_handler(busy_timeout_ms))
    # Else a statement is planned anew whenever its parameters change, which takes longer than most of them do.
    db.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
    if path != MEMORY:
        db.pragma("mmap_size", _MMAP_BYTES)
        db.pragma("journal_size_limit", _WAL_BYTES_KEPT)
    db.pragma("synchronous", durability)
    db.pragma("cache_size", -_CACHE_KIB)
    db.pragma("cache_spill", _SPILL_PAGES)
    db.pragma("temp_store", "memory")


def _use_log(db: apsw.Connection, busy_timeout_ms: int) -> None:
    """Have the file use a write-ahead log, which for a new one means to change it.

    Of several processes that open a new file at the same moment, all but one are refused at once: SQLite asks nobody who has
    begun to read it whether to wait for another's lock, since that one may be waiting for this. So the pragma is made again.
    """
    may_wait, tries = busy_handler(busy_timeout_ms), 0
    while True:
        try:
            db.pragma("journal_mode", "wal")
        except apsw.BusyError:
            if not may_wait(tries):
                raise
            tries += 1
        else:
            return


def busy_handler(timeout_ms: int) -> Callable[[int], bool]:
    """Return what SQLite calls while the file is locked: sleeps a little, and gives up after ``timeout_ms`` of sleep.

    What was slept is added up instead of read from a clock: a clock may jump, and a process that was stopped must not find
    its patience used up when it goes on.
    """
    steps = timeout_ms / 1_000

    def wait(tries: int) -> bool:
        step = min(_STEP_S * (tries + 1), _STEP_MAX_S)
        ramp = int(_STEP_MAX_S / _STEP_S)
        slept = _STEP_S * min(tries, ramp) * (min(tries, ramp) + 1) / 2 + _STEP_MAX_S * max(0, tries - ramp)
        if slept >= steps:
            return False
        select.select((), (), (), step)
        return True

    return wait


def sync_folder(path: str) -> None:
    """Bring the file's name to the disk: SQLite does that for its log, not for a new database.

    Raises:
        StoreBrokenError: The disk failed.
    """
    folder = os.open(os.path.dirname(os.path.abspath(path)), os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    except OSError as error:
        raise StoreBrokenError(
            f"the name of {path} could not be brought to the disk ({error}): the file may be gone after a power cut. "
            "Look at the system's log for the disk.",
            path=path,
            reason=str(error),
        ) from error
    finally:
        os.close(folder)


def _keep_for_ever() -> None:
    """In a forked child: never let go of the parent's connections.

    Closing one there would run SQLite's clean-up on a file that the parent is using. So each gets a reference that nobody
    gives back, not even the interpreter's end.
    """
    for db in list(_open):
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(db))
    _open.clear()


os.register_at_fork(after_in_child=_keep_for_ever)
