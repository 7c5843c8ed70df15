"""After a disk error: bring to the disk once more what the system believes to be there.

A sync that failed is not to be tried again: Linux then takes what it could not write for written, everybody goes on reading
it from memory, and the next sync succeeds without having written it. So the process that saw the error stops. That is not
enough: the next one finds in the log, still from memory, what never reached the disk, and everything that it adds behind it
would be lost with it at a power cut, acknowledged or not.

    disk error ──▶ note beside the file ┄┄▶ next opening: log written over itself and synced ──▶ moved ──▶ note removed

The note need not survive a power cut: the trouble does not either.

Held by tests/power/test_disk_errors.py.
"""

from __future__ import annotations

import contextlib
import os
from typing import Final

import apsw

from rota.errors import StoreBrokenError

_PORTION_BYTES: Final = 4 * 1024 * 1024


def note(path: str) -> str:
    """Return where it is noted that the disk under this store has failed."""
    return f"{path}.d/disk-error"


def leave_note(path: str) -> None:
    """Note that the disk has failed, as well as can be: it may be the same disk."""
    with contextlib.suppress(OSError):
        os.makedirs(os.path.dirname(note(path)), mode=0o700, exist_ok=True)
        os.close(os.open(note(path), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))


def mend(db: apsw.Connection, path: str) -> None:
    """If a note was left, write the log anew and bring it to the disk. Safe to be done by several processes, and again.

    If the process dies half way, the note is still there, and the log says what it said before.

    Raises:
        StoreBrokenError: The disk still fails.
        apsw.Error: Likewise, or the file is locked.
    """
    if not os.path.exists(note(path)):
        return
    # Under the write lock, since what others append must not be written over.
    db.execute("BEGIN IMMEDIATE")
    try:
        _write_anew(f"{path}-wal")
    except OSError as error:
        raise StoreBrokenError(
            f"the disk under {path} had failed, and fails again ({error}). Nothing was written, and nothing that was accepted "
            "is known to be lost. Look at the system's log for the disk; copy what is there to a healthy one.",
            path=path,
            reason=str(error),
        ) from error
    finally:
        db.execute("ROLLBACK")
    with contextlib.suppress(apsw.BusyError):
        db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_FULL)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(note(path))


def _write_anew(log: str) -> None:
    """Write a file over itself, so that a sync has something to bring to the disk. It is no file with locks."""
    try:
        file = os.open(log, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        at = 0
        while portion := os.pread(file, _PORTION_BYTES, at):
            done = 0
            while done < len(portion):
                done += os.pwrite(file, portion[done:], at + done)
            at += len(portion)
        os.fsync(file)
    finally:
        os.close(file)
