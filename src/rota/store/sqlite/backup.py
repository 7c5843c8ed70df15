"""Copy a store while work goes on.

By SQLite's own backup, within one read transaction: the copy is of one moment, and never starts again because somebody
writes. A copied file would not do: it misses what is in the log, and opening it would drop this process's locks.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import count
from typing import Final

import apsw

from rota.errors import NotAllowedError, StoreUnavailableError
from rota.store.sqlite.connection import sync_folder
from rota.store.sqlite.faults import translate

PAGES_A_STEP: Final = 2_000


def refuse_existing(path: str) -> None:
    """Check that a copy may be written here.

    Raises:
        NotAllowedError: Something is there.
    """
    if os.path.lexists(path):
        raise NotAllowedError(
            f"{path} exists. Nothing was written: it may be your last good copy. Name a new file.", path=path
        )


def copy(source: apsw.Connection, path: str, progress: Callable[[int, int], None] | None) -> None:
    """Write a copy beside ``path`` and give it that name when it is complete.

    If the process dies half way, ``<path>.partial`` is left and ``path`` is not there. When this returns, the copy and its
    name are on the disk. Of two that write the same copy at once, one is told that it exists.

    Raises:
        NotAllowedError: ``path`` exists.
        StoreError: It could not be written.
    """
    refuse_existing(path)
    partial = _file_of_ones_own(path)
    try:
        _copy_pages(source, partial, progress)
        os.link(partial, path)
        sync_folder(path)
    except FileExistsError:
        refuse_existing(path)
    except apsw.Error as error:
        raise translate(error, path) from error
    finally:
        for leftover in (partial, f"{partial}-journal", f"{partial}-wal", f"{partial}-shm"):
            if os.path.exists(leftover):
                os.unlink(leftover)


def _file_of_ones_own(path: str) -> str:
    """Make the file to write to. One that is there may be another's, who gives it its name when that one believes it whole."""
    for number in count(1):
        partial = f"{path}.partial" if number == 1 else f"{path}.partial-{number}"
        try:
            os.close(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644))
        except FileExistsError:
            continue
        except OSError as error:
            raise StoreUnavailableError(
                f"{path} cannot be written ({error.strerror}). Does its folder exist, and may you write in it?",
                path=path,
            ) from error
        return partial
    raise AssertionError  # It counts without end.


def _copy_pages(source: apsw.Connection, partial: str, progress: Callable[[int, int], None] | None) -> None:
    target = apsw.Connection(partial)
    is_ours = not source.in_transaction
    try:
        if is_ours:
            source.execute("BEGIN")
            source.execute("SELECT count(*) FROM house").get  # noqa: B018 - a transaction begins with its first read
        with target.backup("main", source, "main") as backup:
            while not backup.done:
                backup.step(PAGES_A_STEP)
                if progress is not None:
                    progress(backup.remaining, backup.page_count)
    finally:
        if is_ours and source.in_transaction:
            source.execute("ROLLBACK")
        target.close()
