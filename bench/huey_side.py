"""Starting and stopping Huey: one consumer process a worker, at its fastest settings (see `bench/huey_client.py`)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import apsw

from bench.side import Side, Workers


class HueySide(Side):
    """Huey on a SQLite file."""

    name = "huey"
    client = "bench.huey_client"

    @property
    def environment(self) -> dict[str, str]:
        """The environment of clients and workers."""
        return super().environment | {"BENCH_HUEY_DB": str(self.folder / "huey.db")}

    def checkpoint(self) -> None:
        """Move what the preload left in the write-ahead log into the database."""
        checkpoint(str(self.folder / "huey.db"))

    @contextmanager
    def workers(self, processes: int, *, mode: str = "speed") -> Iterator[Workers]:
        """Start consumers that wait for the gate."""
        with self.gated(
            lambda log: [self.start(log, self.python, "-m", self.client, "worker", mode=mode) for _ in range(processes)]
        ) as workers:
            yield workers

    def outstanding(self) -> int:
        """Return how many jobs wait. Huey takes a job out of its store before it runs it."""
        return int(self.call("outstanding")["jobs"])


def checkpoint(path: str) -> None:
    """Move what is in a database's write-ahead log into the database."""
    connection = apsw.Connection(path)
    connection.pragma("wal_checkpoint(TRUNCATE)")
    connection.close()
