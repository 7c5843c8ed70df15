"""A folder of this host for the processes of one PostgreSQL store: lock files and running tables.

    <folder for temporary files>/rota-<uid>-<hash of the store's address and schema>

Who finds another's files here learns of its end at once and of what it was running; who does not, learns of it by the lease. So
nothing depends on two processes finding the same folder, and everything on nobody else being able to write in it.

Not in ``$XDG_RUNTIME_DIR``: that is taken away when the user logs out, while a node may go on for months.
"""

from __future__ import annotations

import os
import stat
import tempfile
from hashlib import blake2b
from pathlib import Path
from urllib.parse import urlsplit

from rota.errors import ConfigError
from rota.store.sqlite.filesystem import mount_of

_MEMORY = "/dev/shm"  # noqa: S108 - a folder of ours is made in it, and looked at as closely as in the other.
"""Where there is no usable folder for temporary files: memory of this kernel, in every container."""


def host_folder(url: str, schema: str) -> str:
    """Return the folder, made if it is not there.

    Raises:
        ConfigError: It is not ours alone, or not on a file system of this host.
    """
    name = f"rota-{_user()}-{_mark(url, schema)}"
    try:
        return _folder(Path(tempfile.gettempdir()) / name)
    except ConfigError:
        if not Path(_MEMORY).is_dir():
            raise
    return _folder(Path(_MEMORY) / name)


def found_host_folder(url: str, schema: str) -> str | None:
    """Return the folder if it is there, and make none: for people who look."""
    name = f"rota-{_user()}-{_mark(url, schema)}"
    places = (Path(tempfile.gettempdir()), Path(_MEMORY))
    return next((str(place / name) for place in places if (place / name).is_dir()), None)


def _folder(path: Path) -> str:
    try:
        path.mkdir(mode=0o700, exist_ok=True)
        found = path.lstat()
    except OSError as error:
        raise _unusable(path, f"cannot be made ({error.strerror})") from error
    if not stat.S_ISDIR(found.st_mode):
        raise _unusable(path, "is no folder")
    if found.st_uid != _user() or stat.S_IMODE(found.st_mode) & 0o077:
        raise _unusable(path, "belongs to somebody else, or others can write in it")
    mount = mount_of(str(path))
    if mount is not None and mount.is_network:
        raise _unusable(path, f"is on a file system of kind {mount.kind}, where a free lock proves nothing")
    return str(path)


def _mark(url: str, schema: str) -> str:
    """Return what is the same for everyone who writes the store's address alike, but for the user."""
    parts = urlsplit(url)
    where = (parts.netloc.rpartition("@")[2], parts.path, parts.query, schema)
    return blake2b("\0".join(where).encode(), digest_size=8).hexdigest()


def _user() -> int:
    return os.geteuid() if hasattr(os, "geteuid") else 0


def _unusable(path: Path, why: str) -> ConfigError:
    return ConfigError(
        f"{path} {why}. Nodes on PostgreSQL keep lock files there, by which processes of one host see each other end. Nothing "
        "was started. Remove it, or set TMPDIR to a folder of this host in which only you can write.",
        path=str(path),
    )
