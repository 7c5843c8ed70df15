"""Each start and end of a job that sleeps, appended by its handler: what really happened around a crash."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import NamedTuple

VARIABLE = "BENCH_RUN_LOG"
SLEEP_S = 0.5
"""How long such a job takes: long enough to be killed in the middle of it."""


class Entry(NamedTuple):
    """One line: a run of job ``number`` in process ``pid`` has started or ended, in monotonic seconds."""

    what: str
    number: int
    pid: int
    at: float


def tell(what: str, number: int) -> None:
    """Append a line, in one write."""
    line = f"{what} {number} {os.getpid()} {time.monotonic():.6f}\n".encode()
    file = os.open(os.environ[VARIABLE], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(file, line)
    finally:
        os.close(file)


def read(path: Path) -> list[Entry]:
    """Return what was told so far."""
    if not path.exists():
        return []
    lines = [line.split() for line in path.read_text().splitlines()]
    return [Entry(what, int(number), int(pid), float(at)) for what, number, pid, at in lines]
