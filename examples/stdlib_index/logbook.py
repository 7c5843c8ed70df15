"""An append-only log of every start and end of a run, written by the handlers themselves.

The store says what was recorded; this says what was *done*. Only the two together show that nothing was lost, doubled or
overlapping. One line is one write to a file opened for appending, so that lines of several processes never mix and a line
that was written survives the ``kill -9`` of its writer.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rota import current_job

VARIABLE = "STDLIB_INDEX_LOG"


@dataclass(frozen=True)
class Entry:
    """One line. ``at`` is in seconds on the machine's monotonic clock, which all of its processes share."""

    what: str
    path: str
    token: str
    fence: int
    pid: int
    at: float


@contextmanager
def logged(path: str) -> Iterator[None]:
    """Write a start line, run the body, write an end line. Does nothing when no log is asked for."""
    log = os.environ.get(VARIABLE)
    if log is None:
        yield
        return
    job = current_job()
    _append(log, "start", path, job.token, job.fence)
    yield
    _append(log, "end", path, job.token, job.fence)


def _append(log: str, what: str, path: str, token: str, fence: int) -> None:
    file = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(file, f"{what}\t{path}\t{token}\t{fence}\t{os.getpid()}\t{time.monotonic():.6f}\n".encode())
    finally:
        os.close(file)


class Logbook:
    """Reads the log while it grows."""

    def __init__(self, path: Path) -> None:
        path.touch()
        self._file = path.open("rb")
        self._rest = b""
        self.entries: list[Entry] = []

    def read(self) -> list[Entry]:
        """Take in what was written since the last call; return all entries, in the order in which they were written."""
        *lines, self._rest = (self._rest + self._file.read()).split(b"\n")
        for line in lines:
            what, path, token, fence, pid, at = line.decode().split("\t")
            self.entries.append(Entry(what, path, token, int(fence), int(pid), float(at)))
        return self.entries

    def close(self) -> None:
        """Close the file."""
        self._file.close()
