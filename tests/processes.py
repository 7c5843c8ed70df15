"""What the kernel tells of processes, for tests that start, stop and kill them."""

from __future__ import annotations

from pathlib import Path


def state_of(pid: int) -> str:
    """Return the kernel's letter for a process's state; empty when it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


def is_running(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    return state_of(pid) not in ("", "Z")


def children_of(pid: int) -> list[int]:
    """Return the children of a process, oldest first, zombies too; none if it has ended."""
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
