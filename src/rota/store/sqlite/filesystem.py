"""Where the file lies. On a network file system its locks and its log are not what SQLite needs, so it is refused.

``/proc/self/mountinfo`` is read, never the database: POSIX locks of a process vanish when it closes *any* descriptor of a
file, so a SQLite file must not be opened by anybody but SQLite.
"""

from __future__ import annotations

import os
from pathlib import Path

from msgspec import Struct

from rota.errors import UnsupportedStoreError

_MOUNTS = Path("/proc/self/mountinfo")
_NETWORK = {
    "nfs",
    "nfs4",
    "cifs",
    "smb",
    "smb2",
    "smb3",
    "smbfs",
    "9p",
    "virtiofs",
    "afs",
    "ceph",
    "glusterfs",
    "lustre",
}


class Mount(Struct, frozen=True):
    """A mounted file system: where it is mounted, and its kind, such as ``ext4``."""

    point: str
    kind: str

    @property
    def is_network(self) -> bool:
        """Whether locks may not reach everybody, or writes may not reach the disk."""
        return self.kind in _NETWORK or self.kind.startswith("fuse")


def mount_of(path: str, mounts: str | None = None) -> Mount | None:
    """Return the mount that a file is on, or ``None`` where that cannot be known (not Linux).

    Args:
        path: A file, or one that is to be made in an existing folder.
        mounts: Text of a mountinfo file; ``None`` for this process's own.
    """
    if mounts is None:
        try:
            mounts = _MOUNTS.read_text(encoding="utf-8", errors="surrogateescape")
        except OSError:
            return None
    real = os.path.realpath(path)
    best: Mount | None = None
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        fields, kinds = before.split(" "), after.split(" ")
        if len(fields) < 5 or not kinds[0]:
            continue
        point = _unescaped(fields[4])
        holds = real == point or real.startswith(point.rstrip("/") + "/")
        # The last mount on a point hides those before it.
        if holds and (best is None or len(point) >= len(best.point)):
            best = Mount(point=point, kind=kinds[0])
    return best


def refuse_network(path: str) -> None:
    """Check that a store may lie here.

    Raises:
        UnsupportedStoreError: It is a network file system.
    """
    mount = mount_of(path)
    if mount is not None and mount.is_network:
        raise UnsupportedStoreError(
            f"{path} is on {mount.point}, a file system of kind {mount.kind}: SQLite's locks and log are not safe there, so "
            "jobs could be lost or run twice. Nothing was written. Use a local disk, or postgresql:// for several hosts.",
            path=path,
            kind=mount.kind,
        )


def _unescaped(text: str) -> str:
    for code, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(code, character)
    return text
