"""The driver's errors become ours, here and nowhere else in this engine."""

from __future__ import annotations

import os
from typing import Final

import apsw

from rota.errors import (
    OutcomeUnknownError,
    RotaError,
    StoreBrokenError,
    StoreBusyError,
    StoreError,
    StoreFullError,
    StoreReadOnlyError,
    StoreUnavailableError,
)

_NO_ROOM_FOR_INDEX: Final = (apsw.SQLITE_IOERR_SHMOPEN, apsw.SQLITE_IOERR_SHMSIZE, apsw.SQLITE_IOERR_SHMMAP)


def translate(error: apsw.Error, path: str) -> StoreError:
    """Return our error for one of the driver's. Nothing of the transaction in which it happened was kept."""
    if has_no_room_for_index(error):
        return StoreFullError(
            f"there is no room for {path}-shm, which SQLite needs beside the store. Nothing of this call was written. "
            "Make room on that disk; work goes on by itself.",
            path=path,
        )
    if isinstance(error, apsw.BusyError | apsw.LockedError):
        return StoreBusyError(
            f"{path} was locked by somebody for longer than the busy timeout. Nothing was written. Find out who holds it "
            "(`fuser` names processes), or raise `busy_timeout`.",
            path=path,
        )
    if isinstance(error, apsw.FullError):
        return StoreFullError(
            f"there is no room for {path}. Nothing of this call was written. Make room on that disk; work goes on by itself.",
            path=path,
        )
    if isinstance(error, apsw.ReadOnlyError | apsw.PermissionsError | apsw.AuthError):
        return StoreReadOnlyError(
            f"{path} may not be written ({error}). Nothing was written. Look at its owner, its rights and its folder's.",
            path=path,
        )
    if isinstance(error, apsw.NotADBError):
        return StoreBrokenError(
            f"{path} is no SQLite database. Nothing was written. Name another file; rota makes it. If this one was a store, it "
            "has been damaged or overwritten: bring back a copy.",
            path=path,
            reason=str(error),
        )
    if isinstance(error, apsw.IOError | apsw.CorruptError):
        return StoreBrokenError(
            f"the disk under {path} reported an error, or the file is damaged ({error}). This call was not recorded, and this "
            "process writes no more. Look at the system's log for the disk. When it is well, start the process again: what was "
            "accepted is there. If the file is damaged, bring back a copy.",
            path=path,
            reason=str(error),
        )
    if isinstance(error, apsw.CantOpenError | apsw.NoMemError):
        ask = "Does its folder exist, and may you write in it?"
        if os.path.isdir(path):
            ask = f"It is a folder: name a file in it, such as {os.path.join(path, 'rota.db')}."
        return StoreUnavailableError(f"{path} cannot be opened ({error}). Nothing was written. {ask}", path=path)
    return StoreError(
        f"{path} refused a statement ({type(error).__name__}: {error}). Nothing of this call was written. "
        "This is a mistake in rota, or the file was changed by hand: please report it.",
        path=path,
        reason=str(error),
    )


def has_no_room_for_index(error: apsw.Error) -> bool:
    """Whether the index of the log could not grow: no error of the disk, and nothing that must be kept is in it."""
    return getattr(error, "extendedresult", None) in _NO_ROOM_FOR_INDEX


def commit_unknown(error: apsw.Error, path: str) -> OutcomeUnknownError:
    """Return the error of a commit of which nobody can say whether it reached the disk."""
    if has_no_room_for_index(error):
        # Its pages are in the log already, and the next commit is written over them; unless the process dies before that.
        return OutcomeUnknownError(
            f"the commit on {path} was cut short, since there is no room for {path}-shm: it may or may not be there after the "
            "next start. Asking again with the same token is safe. Make room on that disk; work goes on by itself.",
            path=path,
            reason=str(error),
        )
    return OutcomeUnknownError(
        f"the commit on {path} was interrupted by a disk error ({error}): it may or may not be there after the next start. "
        "Asking again with the same token is safe. This process writes no more. Look at the system's log for the disk; when it "
        "is well, start the process again.",
        path=path,
        reason=str(error),
    )


def stops_everything(error: RotaError) -> bool:
    """Whether an error of one call concerns all that share its transaction."""
    return isinstance(
        error, StoreBrokenError | StoreFullError | StoreReadOnlyError | StoreUnavailableError | StoreBusyError
    )
