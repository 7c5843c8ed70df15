"""Worker processes under a lease: none is started while it is not good, and it is known when the last has been reaped."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from typing import Protocol

from rota.node.order import WorkerStart
from rota.node.process import Ending
from rota.node.processes import Processes, Started
from rota.node.remains import Remains
from rota.worker.running import RunningTable


class NotNowError(Exception):
    """No worker may be started at this moment: nothing has gone wrong with one, and it is started later."""


class Permit(Protocol):
    """Who says whether workers may run; ``rota.node.lease.Lease``."""

    @property
    def is_good(self) -> bool:
        """Whether one may be started at this moment."""
        ...


class Fenced:
    """``rota.node.processes.Processes`` whose workers run under a lease.

    Args:
        inner: Starts them.
        permit: Says whether any may be started.
    """

    def __init__(self, inner: Processes, permit: Permit) -> None:
        self._inner = inner
        self._permit = permit
        self._running: set[FencedProcess] = set()
        self._change = asyncio.Event()

    def table_path(self, proof: str) -> str:
        """Return where the running table of the holder of this proof lies."""
        return self._inner.table_path(proof)

    def start(self, start: WorkerStart, *, keeps_log: bool = False) -> Started:
        """Start a worker process.

        Raises:
            NotNowError: None may be: the lease is not good.
            OSError: No process can be started.
        """
        if not self._permit.is_good:
            raise NotNowError("the node's lease is not good; a worker is started when it is")
        started = FencedProcess(self._inner.start(start, keeps_log=keeps_log), self._has_ended)
        self._running.add(started)
        return started

    def states(self, pid: int) -> str:
        """Return one letter for each of a process's threads."""
        return self._inner.states(pid)

    def remains(self, proof: str) -> Remains:
        """Return what is known of the dead holder of a proof."""
        return self._inner.remains(proof)

    def remove(self, proof: str) -> None:
        """Remove what it left behind."""
        self._inner.remove(proof)

    async def all_reaped(self) -> None:
        """Wait until no process that was started here is left."""
        while self._running:
            self._change.clear()
            await self._change.wait()

    def _has_ended(self, process: FencedProcess) -> None:
        self._running.discard(process)
        self._change.set()


class FencedProcess:
    """One of them. ``rota.node.processes.Started``."""

    def __init__(self, inner: Started, has_ended: Callable[[FencedProcess], None]) -> None:
        self._inner = inner
        self._has_ended = has_ended

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._inner.pid

    @property
    def name(self) -> str:
        """Its ring name."""
        return self._inner.name

    @property
    def proof(self) -> str:
        """Its proof of life."""
        return self._inner.proof

    @property
    def table(self) -> RunningTable:
        """Its running table."""
        return self._inner.table

    def tell(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._inner.tell(number)

    def kill(self, why: str) -> bool:
        """Kill it and all that it started; return whether that is the end of it."""
        return self._inner.kill(why)

    def wipe_table(self) -> None:
        """Clear the running table of a process that has ended and is forgiven."""
        self._inner.wipe_table()

    async def ended(self) -> Ending:
        """Wait for its end, reap it, and tell how it ended."""
        ending = await self._inner.ended()
        self._has_ended(self)
        return ending
