"""What a row needs of each side: a store, clients, workers."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO, Any

from bench import counters, run_log
from bench.database import Database

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
    """One of those that are measured, with a folder of its own.

    Args:
        folder: Emptied at ``fresh``.

    Attributes:
        database: Its PostgreSQL database; ``None`` on SQLite.
        notes: What a measurement found besides its figures; goes into the JSON.
    """

    name = ""
    client = ""
    database: Database | None = None

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.counters = folder / "counters"
        self.pickup_log = folder / "pickup.log"
        self.run_log = folder / "runs.log"
        self.notes: dict[str, Any] = {}

    @property
    def python(self) -> str:
        """The interpreter of clients and workers."""
        return sys.executable

    @property
    def environment(self) -> dict[str, str]:
        """The environment of clients and workers."""
        return (
            os.environ
            | {
                counters.VARIABLE: str(self.counters),
                run_log.VARIABLE: str(self.run_log),
                "BENCH_PICKUP_LOG": str(self.pickup_log),
                "BENCH_GATE": str(self.folder / "gate"),
                "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'src'}",  # What is measured is this checkout, whatever is installed.
            }
        )

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
        program = [self.python, "-m", self.client, *map(str, words)]
        done = subprocess.run(program, env=self.environment, cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode:
            raise BenchError(f"{' '.join(program)} failed:\n{done.stderr[-3000:]}")
        return dict(json.loads(done.stdout.splitlines()[-1]))

    def start(self, log: IO[bytes], *program: str, mode: str = "speed") -> subprocess.Popen[bytes]:
        """Start a worker process."""
        return subprocess.Popen(
            program,
            env=self.environment | {"BENCH_MODE": mode},
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )

    def checkpoint(self) -> None:
        """Bring the store to rest after a preload, so that no worker has to pay for it."""

    def preload(self, jobs: int, kind: str = "plain") -> None:
        """Put in no-op jobs."""
        self.call("bulk", jobs, 1_000, kind)

    def single(self, seconds: float) -> float:
        """Return submits a second of one synchronous caller."""
        return float(self.call("single", seconds)["rate"])

    def workers(self, processes: int, *, mode: str = "speed") -> AbstractContextManager[Workers]:
        """Start worker processes that wait at the gate; end them with the block.

        Args:
            mode: "speed", or in a measurement of recovery "default" or "recovery": its own best settings for that.
        """
        raise NotImplementedError

    @contextmanager
    def gated(self, started: Callable[[IO[bytes]], list[subprocess.Popen[bytes]]]) -> Iterator[Workers]:
        """Start workers that wait until the gate's file is there, each as a process that tells when it is ready."""
        with (self.folder / "workers.log").open("wb") as log:
            workers = Workers(started(log), (self.folder / "gate").touch)
            try:
                until(f"the workers of {self.name}", lambda: self._are_ready(workers))
                yield workers
            except BenchError as error:
                raise BenchError(f"{error}\n{(self.folder / 'workers.log').read_text()[-2000:]}") from error
            finally:
                workers.stop()

    def _are_ready(self, workers: Workers) -> bool:
        workers.check()
        return len(list(self.folder.glob("ready-*"))) == len(workers.processes)

    def outstanding(self) -> int:
        """Return how many jobs the store still has to do; on PostgreSQL whether there is one."""
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
        self.processes = processes
        self.open_gate = open_gate

    def check(self) -> None:
        """Raise if one has ended.

        Raises:
            BenchError: It has.
        """
        if ended := [process.args for process in self.processes if process.poll() is not None]:
            raise BenchError(f"a worker has ended: {ended}")

    @property
    def pids(self) -> list[int]:
        """All processes, with those that they have started."""
        parents = parents_of_all()
        found = {process.pid for process in self.processes}
        while more := {pid for pid, parent in parents.items() if parent in found} - found:
            found |= more
        return sorted(found)

    def stop(self) -> None:
        """End them: politely, then not."""
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self.processes:
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
