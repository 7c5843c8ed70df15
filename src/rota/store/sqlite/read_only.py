"""Read a store without writing anything: by whoever may read the file, also where nothing can be written.

    -shm there: somebody uses it, or has   ──▶ read only, through the log and its index, as every reader
    no -wal, no -shm: nobody uses it       ──▶ the file as it lies, and after each read a look whether it still lies so
    -wal alone: its index must be made     ──▶ made, by those who may write the file; else refused, with what to do

Why not always the first way: SQLite would then make ``-wal`` and ``-shm`` beside a store that nobody uses. Made by somebody
else than its owner, in a folder where both may write, they would lock the owner out.

Reading the file as it lies (``immutable``) takes no lock, so somebody may begin to write meanwhile. Each read is therefore
one of an unchanged file, or it is made again: size, time of change and the absence of a log are compared before and after.

Invariants, each with the test that holds it:
    Reading makes no file and changes none.                     tests/unit/store/sqlite/test_read_only.py
    What is read is one moment of the store, never a mixture.   tests/unit/store/sqlite/test_read_only.py
    What cannot be read is refused, with what to do.            tests/unit/store/sqlite/test_read_only.py
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, NoReturn, TypeVar
from urllib.parse import quote

import apsw

from rota.errors import (
    SchemaVersionError,
    StoreBrokenError,
    StoreBusyError,
    StoreError,
    StoreReadOnlyError,
    StoreUnavailableError,
)
from rota.store.sqlite.connection import busy_handler, keep_in_children
from rota.store.sqlite.faults import translate
from rota.store.sqlite.filesystem import refuse_network
from rota.store.sqlite.migrate import migrations, refuse_stranger, version_of
from rota.store.sqlite.reader import Reader
from rota.store.sqlite.rights import may_write, user_name, why_not_writable
from rota.store.sqlite.writer import Writer

T = TypeVar("T")

_READS_MAX = 20
"""How often a read is made again because the file changed under it. After the first time its log is there to read by."""

_Lie = tuple[int, int, int, bool]


class ReadOnlyReader(Reader):
    """Reads a store, and never writes it; connections come and go with how the file lies.

    Args:
        path: The file, absolute.
        busy_timeout_ms: How long to wait for a lock; readers need one only in rare moments.
    """

    def __init__(self, path: str, busy_timeout_ms: int) -> None:
        super().__init__(self._open, path, lambda _: None)
        self._busy_timeout_ms = busy_timeout_ms
        self._lies: _Lie | None = None

    @property
    def is_at_rest(self) -> bool:
        """Whether the file is read as it lies, since nobody uses it."""
        return self._lies is not None

    def _read(self, read: Callable[[apsw.Connection], T]) -> T:
        for _ in range(_READS_MAX):
            if self._db is not None and self._has_changed:
                self._let_go()
            try:
                value = super()._read(read)
            except StoreError:
                if not self._has_changed:
                    raise
            else:
                if not self._has_changed:
                    return value
            self._let_go()
        raise StoreBusyError(
            f"{self._path} changed whenever it was read. Nothing was written. Try again.", path=self._path
        )

    @property
    def _has_changed(self) -> bool:
        """Whether a file that is read as it lies has been written since it was opened."""
        return self._lies is not None and self._lies != _lie_of(self._path)

    def _let_go(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None

    def _open(self) -> apsw.Connection:
        path = self._path
        lies = _lie_of(path)
        has_log, has_index = lies[3], os.path.exists(f"{path}-shm")
        self._lies = None if has_log or has_index else lies
        if has_log and not has_index and not may_write(path):
            _refuse_log(path)
        refuse_network(path)
        how = f"file:{quote(path)}?immutable=1" if self._lies is not None else path
        try:
            db = apsw.Connection(how, flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)
        except apsw.Error as error:
            raise _unreadable(error, path) from error
        try:
            db.set_busy_handler(busy_handler(self._busy_timeout_ms))
            db.pragma("temp_store", "memory")
            _refuse_other_schema(db, path)
        except apsw.Error as error:
            db.close()
            raise _unreadable(error, path) from error
        except BaseException:
            db.close()
            raise
        keep_in_children(db)
        return db


class NoWriter(Writer):
    """In the place of the writer, where nothing is written: refuses.

    Args:
        path: The file.
    """

    def __init__(self, path: str) -> None:
        self._path = path

    async def call(self, *_: Any) -> NoReturn:
        """Refuse.

        Raises:
            StoreReadOnlyError: Always.
        """
        self.call_inline()

    async def call_from_idle(self, *_: Any) -> NoReturn:
        """Refuse.

        Raises:
            StoreReadOnlyError: Always.
        """
        self.call_inline()

    def call_inline(self, *_: Any) -> NoReturn:
        """Refuse.

        Raises:
            StoreReadOnlyError: Always.
        """
        raise StoreReadOnlyError(
            f"{self._path} was opened for reading. Nothing was written. Open it for writing.", path=self._path
        )

    def stop(self, error: StoreBrokenError) -> None:
        """Do nothing: there is nothing to stop."""

    def close(self) -> None:
        """Do nothing: there is nothing to close."""


def _lie_of(path: str) -> _Lie:
    """Return what changes when the file does: its number, size and time of change, and whether it has a log."""
    try:
        found = os.stat(path)
    except FileNotFoundError:
        raise StoreUnavailableError(f"{path} is gone. Nothing was read.", path=path) from None
    except OSError as error:
        raise StoreUnavailableError(
            f"{path} cannot be read ({error.strerror}). Nothing was read.", path=path
        ) from error
    return found.st_ino, found.st_size, found.st_mtime_ns, _size(f"{path}-wal") > 0


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0


def _refuse_log(path: str) -> NoReturn:
    raise StoreReadOnlyError(
        f"{path} cannot be read as it is: jobs are in its log, {path}-wal, and the log's index, {path}-shm, is missing and "
        f"cannot be made ({why_not_writable(path)}). Nothing was read. Have somebody who may write there call `rota doctor` "
        "once, or copy both files into a folder of your own and read the copy.",
        path=path,
    )


def _unreadable(error: apsw.Error, path: str) -> Exception:
    if isinstance(error, apsw.CantOpenError | apsw.PermissionsError | apsw.ReadOnlyError):
        return StoreUnavailableError(
            f"{path} cannot be read ({error}). Nothing was read. It, {path}-wal and {path}-shm must be readable for "
            f"{user_name(os.geteuid())}, and its folders passable.",
            path=path,
        )
    return translate(error, path)


def _refuse_other_schema(db: apsw.Connection, path: str) -> None:
    """Refuse a store that this code would have to change before it could read it, or that is none."""
    wanted = len(migrations())
    refuse_stranger(db, path, wanted)
    if (found := version_of(db)) < wanted:
        raise SchemaVersionError(
            f"{path} has schema version {found}; this rota reads {wanted}. Nothing was changed. Bring it up to date with "
            "`rota migrate`, once the older rota's nodes have been stopped.",
            path=path,
            found=found,
            wanted=wanted,
        )
