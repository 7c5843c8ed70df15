"""Which process is meant: facts from ``/proc`` that stay true when process ids are used again.

Containers on one machine share a boot id and have process ids of their own; so a process is named by boot, pid namespace,
pid and start time together.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
from msgspec import Struct


class Identity(Struct, frozen=True):
    """One process on one machine.

    Attributes:
        boot: The kernel's boot id; empty where there is none.
        space: Inode of the pid namespace; 0 where there is none.
        pid: Its id in that namespace.
        started: Start time in clock ticks since boot; 0 when unknown.
    """

    boot: str
    space: int
    pid: int
    started: int

    @property
    def text(self) -> str:
        """As JSON, for ``NewNode.host``."""
        return msgspec.json.encode(self).decode()

    def is_beside(self, other: Identity) -> bool:
        """Whether both live under one kernel and see each other's process ids."""
        return bool(self.boot) and (self.boot, self.space) == (other.boot, other.space)


def own_identity() -> Identity:
    """Return who this process is."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        space = Path("/proc/self/ns/pid").stat().st_ino
    except OSError:
        boot, space = "", 0
    return Identity(boot, space, os.getpid(), started_at(os.getpid()) or 0)


def read_identity(text: str) -> Identity | None:
    """Read what ``Identity.text`` wrote; ``None`` if it is something else."""
    try:
        return msgspec.json.decode(text, type=Identity)
    except msgspec.MsgspecError:
        return None


def started_at(pid: int) -> int | None:
    """Return a process's start time in clock ticks since boot, or ``None`` if it cannot be read."""
    fields = _stat(Path(f"/proc/{pid}/stat"))
    return int(fields[19]) if fields else None


def thread_states(pid: int) -> str:
    """Return one letter for each thread of a process, such as ``"SSRD"``; empty if it cannot be read."""
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
    except OSError:
        return ""
    return "".join(fields[0] for task in tasks if (fields := _stat(task / "stat")))


def watch_descriptor(who: Identity) -> int | None:
    """Return a descriptor that becomes readable when this process ends; ``None`` if it is not there any more.

    The descriptor is opened first and the start time compared then: in the other order the id could change hands between.
    The caller closes it.
    """
    try:
        descriptor = os.pidfd_open(who.pid)
    except (OSError, AttributeError):
        return None
    if who.started and started_at(who.pid) == who.started:
        return descriptor
    os.close(descriptor)
    return None


def members_of_group(group: int, mark: str) -> list[int]:
    """Return the processes of a process group whose environment carries ``mark``, such as ``"ROTA_PROOF=ab12"``."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        fields = _stat(entry / "stat")
        if fields and int(fields[2]) == group and fields[0] != "Z" and _has(entry, mark):
            found.append(int(entry.name))
    return found


def _has(entry: Path, mark: str) -> bool:
    try:
        return mark.encode() in (entry / "environ").read_bytes().split(b"\0")
    except OSError:
        return False


def _stat(path: Path) -> list[str]:
    """Fields of a ``stat`` file from the state on: the name before them may hold spaces and brackets."""
    try:
        return path.read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return []
