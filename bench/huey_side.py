"""Starting and stopping Huey: one consumer process a worker, at its fastest settings (see `bench/huey_client.py`)."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from bench.side import ROOT, Side, Workers, until


class HueySide(Side):
    """Huey on a SQLite file."""

    name = "huey"
    client = "bench.huey_client"

    @property
    def environment(self) -> dict[str, str]:
        """The environment of clients and workers."""
        return super().environment | {
            "BENCH_HUEY_DB": str(self.database),
            "BENCH_GATE": str(self.folder / "gate"),
        }

    def preload(self, jobs: int) -> None:
        """Put in no-op jobs."""
        self.call("bulk", jobs)

    @contextmanager
    def workers(self, processes: int) -> Iterator[Workers]:
        """Start consumers that wait for the gate."""
        with (self.folder / "consumer.log").open("wb") as log:
            program = [sys.executable, "-m", self.client, "worker"]
            started = [
                subprocess.Popen(
                    program,
                    env=self.environment,
                    cwd=ROOT,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                )
                for _ in range(processes)
            ]
            workers = Workers(started, (self.folder / "gate").touch)
            try:
                until("Huey's consumers", lambda: len(list(self.folder.glob("ready-*"))) == processes)
                yield workers
            finally:
                workers.stop()

    def outstanding(self) -> int:
        """Return how many jobs wait. Huey takes a job out of its store before it runs it."""
        return int(self.call("outstanding")["jobs"])
