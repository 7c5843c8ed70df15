"""Which machine, when, which commit: a figure without these three says nothing."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from bench.side import Side

ROOT = Path(__file__).resolve().parents[1]


def facts() -> dict[str, str]:
    """Return what a reader needs to judge the figures."""
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": commit(),
        "cpu": cpu(),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": memory(),
        "kernel": platform.release(),
        "python": platform.python_version(),
    }


def facts_of(sides: Mapping[str, Side]) -> dict[str, str]:
    """Return the versions of an engine and of who is measured on it."""
    import apsw

    database = sides["rota"].database
    if database is None:
        return {"sqlite": apsw.sqlite_lib_version(), "huey": version("huey")}
    database.recreate()
    found = {"postgresql": str(database.value("SHOW server_version"))}
    for setting in ("fsync", "synchronous_commit", "full_page_writes", "shared_buffers", "max_wal_size"):
        found[setting] = str(database.value(f"SHOW {setting}"))
    for name, side in sides.items():
        if name != "rota":
            found[name] = version_at(side.python, name)
    return found


def version_at(python: str, package: str) -> str:
    """Return which version of a package another interpreter has."""
    program = f"from importlib.metadata import version; print(version({package!r}))"
    return subprocess.run([python, "-c", program], capture_output=True, text=True, check=True).stdout.strip()


def commit() -> str:
    """Return the short commit, with a plus when tracked files differ from it."""

    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()

    return git("rev-parse", "--short", "HEAD") + ("+" if git("status", "--porcelain", "--untracked-files=no") else "")


def cpu() -> str:
    """Return the processor's name."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def memory() -> str:
    """Return the size of the memory."""
    return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB"
