"""Starting and stopping rota: `rota run` as anybody would, its queue paused until the gate opens."""

from __future__ import annotations

import asyncio
import subprocess
import sysconfig
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from bench.side import ROOT, BenchError, Side, Workers, until
from rota.app.engine import open_store
from rota.store.port import Store

T = TypeVar("T")
ROTA = str(Path(sysconfig.get_path("scripts")) / "rota")
QUEUE = "default"
CONCURRENCY = 64


class RotaSide(Side):
    """Rota on a SQLite file."""

    name = "rota"
    client = "bench.rota_client"

    @property
    def environment(self) -> dict[str, str]:
        """The environment of clients and workers."""
        return super().environment | {"ROTA_STORE": str(self.database)}

    def fresh(self) -> None:
        """Begin with an empty store, its queue paused."""
        super().fresh()
        self.pause(True)

    def preload(self, jobs: int) -> None:
        """Put in no-op jobs."""
        self.call("bulk", jobs, 1_000, "none", 0)

    @contextmanager
    def workers(self, processes: int) -> Iterator[Workers]:
        """Start a node; it waits because its queue is paused, until the gate opens."""
        with (self.folder / "node.log").open("wb") as log:
            program = [ROTA, "run", "bench.rota_app:app"]
            program += ["-p", str(processes), "-c", str(CONCURRENCY)]
            node = subprocess.Popen(
                program, env=self.environment, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
            )
            workers = Workers([node], lambda: self.pause(False))
            try:
                until("rota's workers", lambda: self._are_there(workers, processes), every_s=0.05)
                yield workers
                self._check_log()
            except BenchError as error:
                raise BenchError(f"{error}\n{(self.folder / 'node.log').read_text()[-2000:]}") from error
            finally:
                workers.stop()

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
            store = await open_store(str(self.database))
            try:
                return await question(store)
            finally:
                await store.close()

        return asyncio.run(whole())
