"""Starting and stopping rota: `rota run` as anybody would, its queue paused until the gate opens."""

from __future__ import annotations

import asyncio
import subprocess
import sysconfig
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, TypeVar

from bench.database import Database
from bench.huey_side import checkpoint
from bench.side import BenchError, Side, Workers, until
from rota.app.engine import migrate_store, open_store
from rota.store.port import Store

T = TypeVar("T")
ROTA = str(Path(sysconfig.get_path("scripts")) / "rota")
QUEUE = "default"
CONCURRENCY = {"speed": 64, "default": 4, "recovery": 4}
START_S = 120.0


class RotaSide(Side):
    """Rota on either engine."""

    name = "rota"
    client = "bench.rota_client"

    @property
    def store(self) -> str:
        """Where the store is."""
        raise NotImplementedError

    @property
    def environment(self) -> dict[str, str]:
        """The environment of clients and workers."""
        return super().environment | {"ROTA_STORE": self.store}

    @contextmanager
    def workers(self, processes: int, *, mode: str = "speed", nodes: int = 1) -> Iterator[Workers]:
        """Start nodes with so many workers each; they wait because their queue is paused, until the gate opens."""
        with (self.folder / "node.log").open("wb") as log:
            workers = Workers([], lambda: self.pause(False))
            try:
                for number in range(1, nodes + 1):
                    workers.processes.append(self._start_node(log, f"node-{number}", processes, mode))
                    are_there = partial(self._are_there, workers, number * processes)
                    until("rota's workers", are_there, seconds=START_S, every_s=0.05)
                yield workers
                if mode == "speed":
                    self._check_log()
            except BenchError as error:
                raise BenchError(f"{error}\n{(self.folder / 'node.log').read_text()[-2000:]}") from error
            finally:
                workers.stop()

    def _start_node(self, log: IO[bytes], name: str, processes: int, mode: str) -> subprocess.Popen[bytes]:
        program = [ROTA, "run", "bench.rota_app:app", "--name", name]
        program += ["-p", str(processes), "-c", str(CONCURRENCY[mode])]
        return self.start(log, *program)

    def _check_log(self) -> None:
        """Raise if something died on the way: that was no measurement, however it came out."""
        deaths = ("worker.died", "worker.crashed", "supervisor.died")
        if any(death in (self.folder / "node.log").read_text() for death in deaths):
            raise BenchError("a process of the node died while it was measured")

    def _are_there(self, workers: Workers, processes: int) -> bool:
        workers.check()

        async def count(store: Store) -> int:
            return len((await store.membership()).workers)

        return self.ask(count) == processes

    def pause(self, is_paused: bool) -> None:
        """Close or open the gate."""
        self.ask(lambda store: store.set_paused(QUEUE, is_paused))

    def outstanding(self) -> int:
        """Return how many jobs are waiting, scheduled or running."""

        async def count(store: Store) -> int:
            return sum(queue.waiting + queue.scheduled + queue.running for queue in await store.queues())

        return self.ask(count)

    def ask(self, question: Callable[[Store], Awaitable[T]]) -> T:
        """Open the store, ask, close it."""

        async def whole() -> T:
            store = await open_store(self.store)
            try:
                return await question(store)
            finally:
                await store.close()

        return asyncio.run(whole())


class SqliteRota(RotaSide):
    """Rota on a SQLite file."""

    @property
    def store(self) -> str:
        """Where the store is."""
        return str(self.folder / "rota.db")

    def fresh(self) -> None:
        """Begin with an empty store, its queue paused."""
        super().fresh()
        self.pause(True)

    def checkpoint(self) -> None:
        """Move what the preload left in the write-ahead log into the database."""
        checkpoint(self.store)


class PostgresRota(RotaSide):
    """Rota in a PostgreSQL database of its own."""

    def __init__(self, folder: Path, server_url: str) -> None:
        super().__init__(folder)
        self.database: Database = Database(server_url, "bench_rota")

    @property
    def store(self) -> str:
        """Where the store is."""
        return self.database.url

    def fresh(self) -> None:
        """Begin with an empty database, its queue paused."""
        super().fresh()
        self.database.recreate()
        asyncio.run(migrate_store(self.store))
        self.pause(True)

    def checkpoint(self) -> None:
        """Do what autovacuum would do in a while; begin with an empty write-ahead log."""
        self.database.execute("VACUUM ANALYZE", "CHECKPOINT")

    def outstanding(self) -> int:
        """Return whether there is an unfinished job. A look that costs the server next to nothing."""
        return int(self.database.value("SELECT count(*) FROM (SELECT FROM rota.live LIMIT 1) x"))
