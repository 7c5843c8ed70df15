"""Whether this process may write a store, and if not, why."""

from __future__ import annotations

import os
import pwd

from rota.errors import StoreReadOnlyError


def may_write(path: str) -> bool:
    """Whether this process may write the file and make others beside it."""
    folder = os.path.dirname(os.path.abspath(path))
    ids = os.access in os.supports_effective_ids
    return os.access(path, os.W_OK, effective_ids=ids) and os.access(folder, os.W_OK | os.X_OK, effective_ids=ids)


def refuse_unless_writable(path: str) -> None:
    """Check that an existing store can be written, before anything of it is touched.

    Raises:
        StoreReadOnlyError: The file or its folder may not be written by this user, or nobody can write there.
    """
    if os.path.exists(path) and not may_write(path):
        is_mount = _is_mounted_read_only(path)
        cure = (
            "mount it for writing" if is_mount else "be its owner, or have the right to write the file and its folder"
        )
        raise StoreReadOnlyError(
            f"{path} may only be read: {why_not_writable(path)}. Nothing was written. What only looks works (`rota status`, "
            f"`jobs`, `doctor` …); for the rest, {cure}.",
            path=path,
        )


def why_not_writable(path: str) -> str:
    """Return why this process may not write a store; empty if it may."""
    if may_write(path):
        return ""
    if _is_mounted_read_only(path):
        return "its file system is mounted read-only"
    owner, me = user_name(os.stat(path).st_uid), user_name(os.geteuid())
    return f"it belongs to {owner}, and this is {me}" if owner != me else "its rights, or its folder's, do not allow it"


def _is_mounted_read_only(path: str) -> bool:
    return bool(os.statvfs(path).f_flag & os.ST_RDONLY)


def user_name(number: int) -> str:
    """Return the name of a user, or its number if it has none here."""
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"user {number}"
