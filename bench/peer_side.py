"""Starting and stopping the peers on PostgreSQL: one process a worker, in the virtual environment that they share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.database import Database
from bench.side import ROOT, BenchError, Side, Workers

PYTHON = ROOT / ".venv-bench" / "bin" / "python"


class PeerSide(Side):
    """A peer in a PostgreSQL database of its own.

    Attributes:
        unfinished: A query that gives a row while a job is unfinished.
    """

    unfinished = ""

    def __init__(self, folder: Path, server_url: str) -> None:
        super().__init__(folder)
        self.database: Database = Database(server_url, f"bench_{self.name}")

    @property
    def python(self) -> str:
        """The interpreter of clients and workers.

        Raises:
            BenchError: The environment has not been made.
        """
        if not PYTHON.exists():
            raise BenchError(f"{PYTHON} is not there: `make bench` makes it")
        return str(PYTHON)

    @property
    def environment(self) -> dict[str, str]:
        """The environment of clients and workers."""
        return super().environment | {"BENCH_URL": self.database.url}

    def fresh(self) -> None:
        """Begin with an empty database."""
        super().fresh()
        self.database.recreate()
        self.call("setup")

    def checkpoint(self) -> None:
        """Do what autovacuum would do in a while; begin with an empty write-ahead log."""
        self.database.execute("VACUUM ANALYZE", "CHECKPOINT")

    @contextmanager
    def workers(self, processes: int, *, mode: str = "speed") -> Iterator[Workers]:
        """Start workers that wait for the gate."""
        with self.gated(
            lambda log: [self.start(log, self.python, "-m", self.client, "worker", mode=mode) for _ in range(processes)]
        ) as workers:
            yield workers

    def outstanding(self) -> int:
        """Return whether there is an unfinished job."""
        return int(self.database.value(f"SELECT count(*) FROM ({self.unfinished} LIMIT 1) x"))


class PgqueuerSide(PeerSide):
    """PgQueuer, at the settings that `bench/pgqueuer_client.py` explains."""

    name = "pgqueuer"
    client = "bench.pgqueuer_client"
    unfinished = "SELECT FROM pgqueuer WHERE status IN ('queued', 'picked')"


class ProcrastinateSide(PeerSide):
    """Procrastinate, at the settings that `bench/procrastinate_client.py` explains."""

    name = "procrastinate"
    client = "bench.procrastinate_client"
    unfinished = "SELECT FROM procrastinate_jobs WHERE status IN ('todo', 'doing')"
