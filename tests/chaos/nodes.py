"""Real nodes as separate process trees, each started by the command that people type."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import TypeVar

import msgspec

from rota.errors import StoreError
from rota.store.port import Membership, Store, WorkerRow
from tests.chaos.app import now_ns
from tests.chaos.place import Place
from tests.checkers.history import Killed, Recorder
from tests.processes import children_of, is_running

READY_S = 60.0
T = TypeVar("T")


class _Host(msgspec.Struct):
    pid: int


@dataclass(eq=False)
class Node:
    """One node.

    Attributes:
        is_busy: A fault has it in hand; others leave it alone.
    """

    name: str
    keeper: subprocess.Popen[bytes]
    is_busy: bool = False

    @property
    def supervisor(self) -> int | None:
        """Process id of its supervisor, if it has one at this moment."""
        return next(iter(_running_under(self.keeper.pid)), None)

    @property
    def workers(self) -> list[int]:
        """Process ids of its workers."""
        return [] if self.supervisor is None else _running_under(self.supervisor)

    def row_id(self, members: Membership) -> int | None:
        """Return its incarnation: that of its present supervisor."""
        pid = self.supervisor
        ids = [row.id for row in members.nodes if msgspec.json.decode(row.host, type=_Host).pid == pid]
        return max(ids, default=None)

    def worker_rows(self, members: Membership) -> list[WorkerRow]:
        """Return its open workers of the ring."""
        own = self.row_id(members)
        return [row for row in members.workers if row.node_id == own and not row.is_alone]


@dataclass
class Nodes:
    """The nodes of one run, and what was done to them.

    Attributes:
        hit: Which kind of fault met a worker's process, by process id.
        server_kills: When the server was killed, and when it answered again, nanoseconds since boot.
    """

    place: Place
    store: Store
    processes: int
    concurrency: int
    hit: dict[int, str] = field(default_factory=dict)
    server_kills: list[tuple[int, int]] = field(default_factory=list)
    all: list[Node] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.history = self.place.folder / "history.jsonl"
        self.seen = Recorder(self.history)

    async def start(self, name: str) -> Node:
        """Start a node."""
        node = Node(name, self._spawn(name, os.environ | await self.place.environment(name)))
        self.all.append(node)
        return node

    def _spawn(self, name: str, env: dict[str, str]) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "rota", "run", "tests.chaos.app:app"]
        command += ["--name", name, "-p", str(self.processes), "-c", str(self.concurrency)]
        with self._log(name).open("ab") as log:
            return subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=env)

    async def drain(self, node: Node, patience_s: float = 60.0) -> int:
        """End a node in good order; return its exit code."""
        node.keeper.send_signal(signal.SIGTERM)
        code = await asyncio.to_thread(node.keeper.wait, patience_s)
        self.all.remove(node)
        return code

    def kill_all(self) -> None:
        """Make sure that nothing is left."""
        for node in self.all:
            self.kill_tree(node)
        self.all.clear()

    def kill_tree(self, node: Node) -> None:
        """Kill all processes of a node, the keeper first, so that none is started again."""
        supervisor, workers = node.supervisor, node.workers
        node.keeper.kill()
        node.keeper.wait()
        for pid in [*([supervisor] if supervisor else []), *workers]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def note(self, kind: str, pids: list[int]) -> None:
        """Write down that these workers are about to die of this; of the first fault that meets them."""
        for pid in pids:
            if pid not in self.hit:
                self.hit[pid] = kind
                self.seen.saw(Killed(at=now_ns(), worker=str(pid)))

    async def membership(self) -> Membership:
        """Return who is open, whatever happens to the store meanwhile."""
        while True:
            try:
                return await self.store.membership()
            except StoreError:
                await asyncio.sleep(0.1)

    async def steady(self, chance: Random) -> Node:
        """Wait until there is a node that no fault has in hand and all of whose workers are in the ring; take one."""
        return chance.choice(
            await self._until(
                lambda members: [one for one in self.all if not one.is_busy and self._is_whole(one, members)],
                "no node was ready",
            )
        )

    async def until_ready(self, node: Node, *, after: int | None = None) -> None:
        """Wait until a node that was started has all its workers in the ring.

        Args:
            after: The supervisor that was killed, if one was: for a moment it is still seen, and all its workers with it.
        """
        await self._until(
            lambda members: node.supervisor != after and self._is_whole(node, members), f"{node.name} was not ready"
        )

    async def until_all_ready(self) -> None:
        """Wait until every node is as it should be."""
        for node in list(self.all):
            await self.until_ready(node)

    def _is_whole(self, node: Node, members: Membership) -> bool:
        return len(node.worker_rows(members)) >= self.processes

    async def _until(self, found: Callable[[Membership], T], otherwise: str) -> T:
        """Look at the members until something is found in them."""
        end = time.monotonic() + READY_S
        while not (what := found(members := await self.membership())):
            self._look_for_dead_keepers()
            if time.monotonic() > end:
                raise TimeoutError(f"{otherwise} within {READY_S} s: {members}")
            await asyncio.sleep(0.02)
        return what

    def _look_for_dead_keepers(self) -> None:
        for node in self.all:
            if not node.is_busy and node.keeper.poll() is not None:
                raise RuntimeError(
                    f"{node.name} ended with {node.keeper.returncode}:\n{self._log(node.name).read_text()}"
                )

    def _log(self, name: str) -> Path:
        return self.place.folder / f"{name}.log"


def _running_under(pid: int) -> list[int]:
    return [child for child in children_of(pid) if is_running(child)]
