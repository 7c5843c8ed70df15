"""Real nodes as separate process trees, found by what the store says of them."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from random import Random

import msgspec

from rota.runtime.clock import SystemClock
from rota.runtime.entropy import SystemEntropy
from rota.store.port import Membership, NodeRow, Store, WorkerRow
from rota.store.sqlite.store import SqliteStore
from tests.chaos.app import now_ns
from tests.checkers.history import Killed, Recorder


class _Host(msgspec.Struct):
    pid: int


def supervisor_pid(node: NodeRow) -> int:
    """Return the process id of a node's supervisor."""
    return msgspec.json.decode(node.host, type=_Host).pid


@dataclass
class Nodes:
    """The nodes of one run.

    Attributes:
        folder: Where the store, the history and the nodes' logs are.
        processes: Workers of each node.
        concurrency: Jobs at once in each worker.
    """

    folder: Path
    processes: int = 3
    concurrency: int = 4

    def __post_init__(self) -> None:
        clock = SystemClock()
        self.url = str(self.folder / "chaos.db")
        self.history = self.folder / "history.jsonl"
        self.store: Store = SqliteStore.open(self.url, clock=clock, entropy=SystemEntropy(clock))
        self.seen = Recorder(self.history)
        self.killed_while_stopped: set[str] = set()
        self._keepers: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str) -> None:
        """Start a node by the command that people type."""
        command = [sys.executable, "-m", "rota", "run", "tests.chaos.app:app", "--store", self.url]
        command += ["--name", name, "-p", str(self.processes), "-c", str(self.concurrency)]
        env = os.environ | {"ROTA_CHAOS_HISTORY": str(self.history), "ROTA_STORE": self.url}
        with (self.folder / f"{name}.log").open("ab") as log:
            self._keepers[name] = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=env)

    def stop_all(self, patience_s: float = 40.0) -> list[int]:
        """Drain all nodes; return their exit codes."""
        for keeper in self._keepers.values():
            keeper.send_signal(signal.SIGTERM)
        return [keeper.wait(patience_s) for keeper in self._keepers.values()]

    def kill_all(self) -> None:
        """Make sure that nothing is left."""
        for keeper in self._keepers.values():
            if keeper.poll() is None:
                keeper.kill()
                keeper.wait()

    async def until_workers(self, count: int, patience_s: float = 30.0) -> Membership:
        """Wait until so many workers are in the ring."""
        end = time.monotonic() + patience_s
        while True:
            members = await self.store.membership()
            if len([one for one in members.workers if not one.is_alone]) >= count:
                return members
            for name, keeper in self._keepers.items():
                if keeper.poll() is not None:
                    raise RuntimeError(
                        f"{name} ended with {keeper.returncode}: {(self.folder / f'{name}.log').read_text()}"
                    )
            if time.monotonic() > end:
                raise TimeoutError(f"{len(members.workers)} workers of {count} after {patience_s} s: {members}")
            await asyncio.sleep(0.02)

    async def kill_a_worker(self, chance: Random) -> WorkerRow | None:
        """Kill one worker with SIGKILL; return it."""
        workers = [one for one in (await self.store.membership()).workers if not one.is_alone]
        if not workers:
            return None
        victim = chance.choice(workers)
        self._kill(victim.pid, [victim])
        return victim

    async def kill_a_supervisor(self, chance: Random) -> NodeRow | None:
        """Kill one supervisor with SIGKILL, and by that its workers; return its node."""
        members = await self.store.membership()
        if not members.nodes:
            return None
        victim = chance.choice(list(members.nodes))
        self._kill(supervisor_pid(victim), [one for one in members.workers if one.node_id == victim.id])
        return victim

    async def stop_a_supervisor(self, chance: Random, seconds: float) -> NodeRow | None:
        """Stop one supervisor for a while; meanwhile kill one of its workers."""
        members = await self.store.membership()
        if not members.nodes:
            return None
        victim = chance.choice(list(members.nodes))
        pid = supervisor_pid(victim)
        os.kill(pid, signal.SIGSTOP)
        own = [one for one in members.workers if one.node_id == victim.id]
        if own:
            dead = chance.choice(own)
            self.killed_while_stopped.add(str(dead.pid))
            self._kill(dead.pid, [dead])
        await asyncio.sleep(seconds)
        os.kill(pid, signal.SIGCONT)
        return victim

    def _kill(self, pid: int, workers: list[WorkerRow]) -> None:
        for worker in workers:
            self.seen.saw(Killed(at=now_ns(), worker=str(worker.pid)))
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return
