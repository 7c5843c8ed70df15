"""Who has the write lock of a SQLite store: asked of the kernel, without touching the file.

A process must not open a database, or its shared memory, beside its own connection: closing it again would drop the
connection's locks. ``/proc/locks`` tells without opening: the writer of a database in WAL mode holds byte 120 of the shared
memory file.

Source:
    SQLite, "WAL-mode File Format", section 2.3.1, "WAL-Index Locking".
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from rota.app.address import SQLITE, Address

_WRITE_LOCK_BYTE = 120
_LOCKS = Path("/proc/locks")


def lock_test_of(address: Address) -> Callable[[int], bool | None]:
    """Return what tells whether a process has the store's write lock now; ``None`` where the kernel does not say."""
    if address.engine != SQLITE:
        return lambda _: None
    return lambda pid: holds_write_lock(pid, address.place)


def holds_write_lock(pid: int, path: str) -> bool | None:
    """Whether this process has the write lock of the database at ``path``; ``None`` if that cannot be read."""
    try:
        inode = os.stat(path + "-shm").st_ino
        lines = _LOCKS.read_text().splitlines()
    except OSError:
        return None
    return any(_is_write_lock(line.split(), pid, inode) for line in lines)


def _is_write_lock(fields: list[str], pid: int, inode: int) -> bool:
    """Judge a line such as ``7: POSIX  ADVISORY  WRITE 4711 fe:00:131085 120 120``.

    The device is not compared: some file systems show another one here than in ``stat``.
    """
    if len(fields) != 8 or fields[1] != "POSIX" or fields[3] != "WRITE" or fields[4] != str(pid):
        return False
    is_file = fields[5].rpartition(":")[2] == str(inode)
    return is_file and int(fields[6]) <= _WRITE_LOCK_BYTE and (fields[7] == "EOF" or int(fields[7]) >= _WRITE_LOCK_BYTE)
