"""How a node's worker processes come into being, and what they leave behind: handed in, like time and chance.

    Supervisor ─▶ Crew ─start─▶ Started ─ended─▶ Ending         the living
                  Rescuer ─remains─▶ Remains ─remove─▶ nothing  the dead

``SystemProcesses`` starts real ones. Whoever hands in others can run a whole cluster in one process, on a time of its own.
"""

from __future__ import annotations

import signal
from typing import Protocol

from rota.node.identity import thread_states
from rota.node.order import WorkerStart
from rota.node.process import Ending, WorkerProcess
from rota.node.remains import Remains, read_remains, remove_remains, table_path
from rota.worker.running import RunningTable


class Started(Protocol):
    """A worker process that was started and has not been reaped."""

    @property
    def pid(self) -> int:
        """Its process id."""
        ...

    @property
    def name(self) -> str:
        """Its ring name."""
        ...

    @property
    def proof(self) -> str:
        """Its proof of life."""
        ...

    @property
    def table(self) -> RunningTable:
        """Its running table."""
        ...

    def tell(self, number: signal.Signals) -> None:
        """Send it a signal, such as SIGTERM to ask it to end."""
        ...

    def kill(self, why: str) -> bool:
        """Kill it and all that it started. What ``ended`` waits for comes then.

        Return whether that is the end of it; ``False`` for one that has ended already, or was killed before.
        """
        ...

    def wipe_table(self) -> None:
        """Clear the running table of a process that has ended and is forgiven, so that no other supervisor blames either."""
        ...

    async def ended(self) -> Ending:
        """Wait for its end, reap it, and tell how it ended."""
        ...


class Processes(Protocol):
    """Starts worker processes, and finds what dead ones left behind."""

    def table_path(self, proof: str) -> str:
        """Return where the running table of the holder of this proof lies."""
        ...

    def start(self, start: WorkerStart, *, keeps_log: bool = False) -> Started:
        """Start a worker process that does as it is told.

        Raises:
            OSError: No process can be started.
        """
        ...

    def states(self, pid: int) -> str:
        """Return one letter for each of its threads, as ``/proc`` has them: ``D`` waits for the disk."""
        ...

    def remains(self, proof: str) -> Remains:
        """Return what is known of the dead holder of a proof."""
        ...

    def remove(self, proof: str) -> None:
        """Remove what it left behind. Safe to call twice."""
        ...


class SystemProcesses:
    """Real processes, whose tables and wills are files in one folder.

    Args:
        module: Where a worker's ``main`` is.
        folder: Where their files lie.
    """

    def __init__(self, module: str, folder: str) -> None:
        self._module = module
        self._folder = folder

    def table_path(self, proof: str) -> str:
        """Return where the running table of the holder of this proof lies."""
        return table_path(self._folder, proof)

    def start(self, start: WorkerStart, *, keeps_log: bool = False) -> Started:
        """Start a worker process. To be called from the main thread only.

        Raises:
            OSError: No process can be started.
        """
        return WorkerProcess.start(start, self._module, keeps_log=keeps_log)

    def states(self, pid: int) -> str:
        """Return one letter for each of its threads."""
        return thread_states(pid)

    def remains(self, proof: str) -> Remains:
        """Return what is known of the dead holder of a proof."""
        return read_remains(self._folder, proof)

    def remove(self, proof: str) -> None:
        """Remove its files."""
        remove_remains(self._folder, proof)
