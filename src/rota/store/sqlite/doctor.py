"""What is to be said about a store: one line a thing, with what to do."""

from __future__ import annotations

import os
import platform
from typing import Final

import apsw

from rota.store.port import Check
from rota.store.sqlite.connection import MEMORY, SAFE_VERSION
from rota.store.sqlite.filesystem import mount_of
from rota.store.sqlite.house import Sweep
from rota.store.sqlite.members import closed_workers_with_jobs
from rota.store.sqlite.migrate import migrations, version_of
from rota.store.sqlite.rights import user_name, why_not_writable
from rota.store.sqlite.writer import MUST_WRITE

MIB: Final = 1024 * 1024
_FREE_BYTES_LOW: Final = 500 * MIB
_LOG_BYTES_LARGE: Final = 256 * MIB
_DURABILITY: Final = {
    0: ("error", "off: a power cut may lose jobs and damage the file", "Open the store with durability=full."),
    1: ("warning", "normal: a power cut may lose the last moments' jobs", "Open the store with durability=full."),
    2: ("ok", "full: what was accepted is on the disk", ""),
    3: ("ok", "extra: what was accepted is on the disk", ""),
}


def examine(db: apsw.Connection, path: str, synchronous: int, now: int, *, is_at_rest: bool = False) -> list[Check]:
    """Return all checks.

    Args:
        db: A connection to read through.
        synchronous: How the writer's connection waits for the disk, as SQLite's number.
        now: This instant.
        is_at_rest: The file is read as it lies, without its log.
    """
    checks = [_version(), _durability(db, path, synchronous, is_at_rest=is_at_rest), _schema(db), _platform()]
    if path != MEMORY:
        checks += [_rights(path), _file_system(path), _room(path), _log(path)]
    return [*checks, *_stuck(db, now)]


def _version() -> Check:
    found = tuple(int(part) for part in apsw.sqlite_lib_version().split("."))
    if found >= SAFE_VERSION:
        return Check(name="SQLite", level="ok", says=f"version {apsw.sqlite_lib_version()}")
    return Check(
        name="SQLite",
        level="error",
        says=f"version {apsw.sqlite_lib_version()} can damage a file that several processes write",
        advice="Upgrade apsw to 3.51.3 or newer.",
    )


def _durability(db: apsw.Connection, path: str, synchronous: int, *, is_at_rest: bool) -> Check:
    if path == MEMORY:
        return Check(name="durability", level="note", says="in memory: everything ends with this process")
    mode = db.pragma("journal_mode")
    level, says, advice = _DURABILITY[synchronous]
    if mode != "wal" and not is_at_rest:
        return Check(
            name="durability",
            level="error",
            says=f"journal mode is {mode}, and must be wal",
            advice="Stop all processes that use the file, and open it with rota.",
        )
    return Check(name="durability", level=level, says=says, advice=advice)


def _schema(db: apsw.Connection) -> Check:
    found, wanted = version_of(db), len(migrations())
    if found == wanted:
        return Check(name="schema", level="ok", says=f"version {found}")
    return Check(
        name="schema",
        level="error",
        says=f"version {found}; this rota knows {wanted}",
        advice="Upgrade the older rota.",
    )


def _platform() -> Check:
    system = platform.system()
    if system == "Linux":
        return Check(name="platform", level="ok", says="Linux")
    return Check(
        name="platform",
        level="warning",
        says=f"{system}: rota's promises about crashes hold on Linux",
        advice="Use it for development, and Linux for what matters.",
    )


def _rights(path: str) -> Check:
    reason = why_not_writable(path)
    if not reason:
        return Check(name="rights", level="ok", says=f"{user_name(os.geteuid())} may write it")
    return Check(
        name="rights",
        level="note",
        says=f"read only: {reason}",
        advice="Nodes, submits and changes need a user who may write the file and its folder.",
    )


def _file_system(path: str) -> Check:
    mount = mount_of(path)
    if mount is None:
        return Check(name="file system", level="note", says="its kind cannot be read here")
    if mount.is_network:
        return Check(
            name="file system",
            level="error",
            says=f"{mount.kind} on {mount.point}: SQLite is not safe there",
            advice="Move the file to a local disk.",
        )
    if mount.kind in ("overlay", "tmpfs", "ramfs"):
        end = "its container" if mount.kind == "overlay" else "the machine's memory"
        return Check(
            name="file system",
            level="warning",
            says=f"{mount.kind} on {mount.point}: the file lives and dies with {end}",
            advice="Put the file on a volume.",
        )
    return Check(name="file system", level="ok", says=f"{mount.kind} on {mount.point}")


def _room(path: str) -> Check:
    free = os.statvfs(os.path.dirname(os.path.abspath(path)))
    left = free.f_bavail * free.f_frsize
    says = f"{left / MIB:,.0f} MiB free, the file has {_size(path) / MIB:,.1f} MiB"
    if left >= _FREE_BYTES_LOW:
        return Check(name="room", level="ok", says=says)
    return Check(name="room", level="warning", says=says, advice="Make room: when it is full, submits are refused.")


def _log(path: str) -> Check:
    size = _size(path + "-wal")
    says = f"the write-ahead log has {size / MIB:,.1f} MiB"
    if size < _LOG_BYTES_LARGE:
        return Check(name="log", level="ok", says=says)
    return Check(
        name="log",
        level="warning",
        says=says,
        advice="Something has been reading the file for long, so the log cannot be emptied. Look for a stopped process.",
    )


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return 0


def _stuck(db: apsw.Connection, now: int) -> list[Check]:
    closed = closed_workers_with_jobs(db)
    checks = []
    if closed:
        names = ", ".join(worker.name for worker in closed[:5])
        checks.append(
            Check(
                name="dead workers",
                level="warning",
                says=f"{len(closed)} closed worker(s) still hold jobs: {names}",
                advice="A running node releases them within seconds: start one with `rota run`.",
            )
        )
    if Sweep(now).look(db) is MUST_WRITE:
        checks.append(
            Check(
                name="stuck jobs",
                level="warning",
                says="keys without a head, jobs held by nobody, or claims of which nothing is held",
                advice="The orchestrator's next sweep mends this: start a node with `rota run`. Please report it.",
            )
        )
    if not checks:
        checks.append(Check(name="stuck jobs", level="ok", says="none"))
    return checks
