"""One worker process, from its start to its reap.

    start ──▶ tell (SIGTERM) ──▶ ended: what is left of its group is killed, then it is reaped, then its end is known

The order at the end matters. As long as the process is not reaped its id cannot be given to another, so the group is killed
first; and only a reaped process is known to run nothing any more.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Sequence

import msgspec
from msgspec import Struct

from rota.node import child
from rota.node.last_lines import LastLines
from rota.node.order import WorkerStart
from rota.worker.running import RunningTable

PROOF_VARIABLE = "ROTA_PROOF"
"""In the environment of a worker and of all that it starts: so they are recognised when their worker has gone."""

_POLL_S = 0.05
_GROUP_S = 0.5
_TAIL_BYTES = 4_096


class Ending(Struct, frozen=True):
    """How a process ended, learnt from its reap.

    Attributes:
        code: Its exit code; ``None`` if a signal ended it.
        signal: The signal; ``None`` if it exited by itself.
        memory_bytes: The most memory that it used at once.
        seconds: How long it lived.
        killed_why: Why this supervisor killed it; ``None`` if it did not.
        is_asked: This supervisor had asked it to end.
        last_lines: The end of what it wrote to its standard error, if that was kept.
    """

    code: int | None
    signal: int | None
    memory_bytes: int
    seconds: float
    killed_why: str | None = None
    is_asked: bool = False
    last_lines: str = ""

    @property
    def words(self) -> str:
        """The same for people."""
        if self.signal is None:
            how = f"exited with code {self.code}"
        else:
            how = f"was ended by signal {self.signal} ({_signal_name(self.signal)})"
        why = f", sent by its supervisor: {self.killed_why}" if self.killed_why else ""
        return f"{how}{why}; it used at most {self.memory_bytes / 2**20:.0f} MiB of memory"


class WorkerProcess:
    """A started worker process. Made by ``start``.

    Attributes:
        pid: Its process id, which is its process group's as well.
        name: Its ring name.
        proof: Its proof of life.
        table: Its running table.
    """

    def __init__(
        self, popen: subprocess.Popen[bytes], start: WorkerStart, table: RunningTable, log: LastLines | None
    ) -> None:
        self.pid = popen.pid
        self.name = start.order.name
        self.proof = start.order.proof
        self.table = table
        self._concurrency = start.order.concurrency
        self._popen = popen
        self._log = log
        self._descriptor = _open_pidfd(popen.pid)
        self._born = asyncio.get_running_loop().time()
        self._killed_why: str | None = None
        self._is_asked = False
        self._is_reaped = False

    @classmethod
    def start(cls, start: WorkerStart, module: str, *, keeps_log: bool = False) -> WorkerProcess:
        """Start ``main()`` of ``module`` in a process of its own, which reads ``start`` from its standard input.

        To be called from the main thread only: the kernel ends the child with the thread that started it.

        Args:
            start: What the process is told. Its running table is made here.
            module: Where its ``main`` is.
            keeps_log: Read its standard error, of which ``Ending.last_lines`` tells the end.

        Raises:
            OSError: No process can be started.
        """
        order = start.order
        table = RunningTable.create(order.table, order.concurrency)
        log = LastLines() if keeps_log else None
        try:
            popen = subprocess.Popen(
                child_argv(module, signal.SIGKILL, order.name),
                stdin=subprocess.PIPE,
                stderr=None if log is None else log.inlet,
                env=os.environ | {PROOF_VARIABLE: order.proof},
                process_group=0,
            )
        finally:
            if log is not None:
                log.close_inlet()
        hand_over(popen, msgspec.json.encode(start))
        return cls(popen, start, table, log)

    def tell(self, number: signal.Signals) -> None:
        """Send a signal to the process itself, such as SIGTERM to ask it to end."""
        self._is_asked = self._is_asked or number == signal.SIGTERM
        if not self._is_reaped:
            self._send(number)

    def kill(self, why: str) -> bool:
        """Kill the process and its group. What ``ended`` waits for comes then.

        Return whether that is the end of it; ``False`` for one that has been reaped, or was killed before.
        """
        if self._is_reaped:
            return False
        is_first = self._killed_why is None
        self._killed_why = self._killed_why or why
        _kill_group(self.pid)
        self._send(signal.SIGKILL)
        return is_first

    def wipe_table(self) -> None:
        """Clear the running table of a process that has ended and is forgiven, so that no other supervisor blames either.

        An empty will tells it why: the process ended on purpose. On a full disk it is told less.
        """
        for row in range(2 * self._concurrency):
            self.table.clear(row)
        if not self.table.has_will:
            with contextlib.suppress(OSError):
                self.table.leave_will([])

    async def ended(self) -> Ending:
        """Wait for the end of the process, kill what is left of its group, reap it, and tell how it ended."""
        await self._until_dead()
        _kill_group(self.pid)
        _, status, usage = os.wait4(self.pid, 0)  # noqa: ASYNC222 - it is dead: this returns at once.
        self._is_reaped = True
        self._popen.returncode = os.waitstatus_to_exitcode(status)
        await self._until_group_is_gone()
        code = self._popen.returncode
        return Ending(
            code=code if code >= 0 else None,
            signal=-code if code < 0 else None,
            memory_bytes=usage.ru_maxrss * (1024 if sys.platform == "linux" else 1),
            seconds=asyncio.get_running_loop().time() - self._born,
            killed_why=self._killed_why,
            is_asked=self._is_asked,
            last_lines=self._take_log(),
        )

    def _send(self, number: signal.Signals) -> None:
        """Send a signal to the process, which has not been reaped.

        Not by ``Popen.send_signal``: that reaps a process which has just ended, and its end would never be told.
        """
        os.kill(self.pid, number)

    async def _until_dead(self) -> None:
        if self._descriptor is None:
            while not _has_ended(self.pid):  # noqa: ASYNC110 - this kernel has no event for it.
                await asyncio.sleep(_POLL_S)
            return
        try:
            await readable(self._descriptor)
        finally:
            os.close(self._descriptor)

    async def _until_group_is_gone(self) -> None:
        """Give the killed rest of the group a moment to be gone: the next run must not meet it."""
        loop = asyncio.get_running_loop()
        end = loop.time() + _GROUP_S
        while _has_group(self.pid) and loop.time() < end:  # noqa: ASYNC110 - no kernel has an event for a group.
            await asyncio.sleep(0.005)

    def _take_log(self) -> str:
        if self._log is None:
            return ""
        text = self._log.take()
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(text.decode(errors="replace"))
            sys.stderr.flush()
        return text[-_TAIL_BYTES:].decode(errors="replace")


def child_argv(module: str, number: signal.Signals, *labels: str) -> list[str]:
    """Return the command of a child that ends, by that signal, with the calling process; ``labels`` are for ``ps``."""
    return [sys.executable, "-P", child.__file__, str(os.getpid()), str(int(number)), module, *labels]


def hand_over(popen: subprocess.Popen[bytes], text: bytes) -> None:
    """Write a child's orders to its standard input and close it. A child that is dead already is found by its end."""
    assert popen.stdin is not None  # noqa: S101
    with contextlib.suppress(BrokenPipeError):
        popen.stdin.write(text)
    with contextlib.suppress(BrokenPipeError):
        popen.stdin.close()


def read_orders() -> bytes:
    """Read what the parent handed over, and put the null device in its place: user code shall not find it."""
    text = sys.stdin.buffer.read()
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    return text


async def readable(descriptor: int) -> None:
    """Wait until a descriptor is readable, such as that of a process which has ended."""
    loop = asyncio.get_running_loop()
    news = asyncio.Event()
    loop.add_reader(descriptor, news.set)
    try:
        await news.wait()
    finally:
        loop.remove_reader(descriptor)


def kill_strays(pids: Sequence[int]) -> None:
    """Kill processes that outlived the worker which had started them."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)


def _open_pidfd(pid: int) -> int | None:
    return os.pidfd_open(pid) if hasattr(os, "pidfd_open") else None


def _has_ended(pid: int) -> bool:
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None


def _kill_group(group: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def _has_group(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return "unknown"
