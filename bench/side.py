"""What a row needs of each of the two: a store, clients, workers."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apsw

from bench import counters

ROOT = Path(__file__).resolve().parents[1]
WAIT_S = 60.0


class BenchError(Exception):
    """A measurement that could not be made: something ended or did not come."""


def until(what: str, is_so: Callable[[], bool], *, seconds: float = WAIT_S, every_s: float = 0.005) -> None:
    """Wait until something is so.

    Raises:
        BenchError: It did not come in time.
    """
    give_up_at = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > give_up_at:
            raise BenchError(f"waited {seconds:.0f} s in vain for: {what}")
        time.sleep(every_s)


class Side:
    """One of the two, with a folder of its own on the disk under measurement.

    Args:
        folder: Emptied at ``fresh``.
    """

    name = ""
    client = ""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.counters = folder / "counters"
        self.pickup_log = folder / "pickup.log"
        self.database = folder / f"{self.name}.db"

    @property
    def environment(self) -> dict[str, str]:
        """The environment of clients and workers."""
        return os.environ | {
            counters.VARIABLE: str(self.counters),
            "BENCH_PICKUP_LOG": str(self.pickup_log),
            "PYTHONPATH": str(ROOT),
        }

    def fresh(self) -> None:
        """Begin with an empty store."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        counters.clear(self.counters)

    def call(self, *words: object) -> dict[str, Any]:
        """Run a client to its end; return what it measured.

        Raises:
            BenchError: It failed.
        """
        program = [sys.executable, "-m", self.client, *map(str, words)]
        done = subprocess.run(program, env=self.environment, cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode:
            raise BenchError(f"{' '.join(program)} failed:\n{done.stderr[-3000:]}")
        return dict(json.loads(done.stdout.splitlines()[-1]))

    def checkpoint(self) -> None:
        """Move what the preload left in the write-ahead log into the database, so that no worker has to pay for it."""
        connection = apsw.Connection(str(self.database))
        connection.pragma("wal_checkpoint(TRUNCATE)")
        connection.close()

    def preload(self, jobs: int) -> None:
        """Put in no-op jobs."""
        raise NotImplementedError

    def single(self, seconds: float) -> float:
        """Return submits a second of one synchronous caller."""
        return float(self.call("single", seconds)["rate"])

    @contextmanager
    def workers(self, processes: int) -> Iterator[Workers]:
        """Start workers that wait at the gate; end them with the block."""
        raise NotImplementedError

    def outstanding(self) -> int:
        """Return how many jobs the store still has to do."""
        raise NotImplementedError

    def pickups_ms(self) -> list[float]:
        """Return what the handlers of `pickup` have measured, in order of size."""
        return sorted(float(line) for line in self.pickup_log.read_text().split()) if self.pickup_log.exists() else []


class Workers:
    """Running workers.

    Args:
        processes: Those that were started directly.
        open_gate: Lets them begin.
    """

    def __init__(self, processes: list[subprocess.Popen[bytes]], open_gate: Callable[[], None]) -> None:
        self._processes = processes
        self.open_gate = open_gate

    def check(self) -> None:
        """Raise if one has ended.

        Raises:
            BenchError: It has.
        """
        if ended := [process.args for process in self._processes if process.poll() is not None]:
            raise BenchError(f"a worker has ended: {ended}")

    @property
    def pids(self) -> list[int]:
        """All processes, with those that they have started."""
        parents = parents_of_all()
        found = {process.pid for process in self._processes}
        while more := {pid for pid, parent in parents.items() if parent in found} - found:
            found |= more
        return sorted(found)

    def stop(self) -> None:
        """End them: politely, then not."""
        for process in self._processes:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self._processes:
            try:
                process.wait(40)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def parents_of_all() -> dict[int, int]:
    """Return the parent of each process on this machine."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
        except (FileNotFoundError, ProcessLookupError):
            continue
    return parents
