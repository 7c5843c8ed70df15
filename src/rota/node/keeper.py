"""The keeper: starts the node's supervisor, passes signals on, reaps, and starts it again when it dies unasked.

A few lines and nothing that can go wrong with the node, because it may be process 1 of a container: there the kernel ignores
signals that would kill, and the dead children of others come to it to be reaped. All signals are blocked and taken from one
place, so none is lost between two lines.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable

import msgspec

from rota.node.order import NodeOrder
from rota.node.process import child_argv, hand_over
from rota.node.stopped import LOOK_S, StoppedInWrite
from rota.runtime.clock import Clock, SystemClock
from rota.telemetry.telemetry import Telemetry

PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
UNAVAILABLE = 69
NO_PROCESS = 71
"""Instead of a supervisor's exit code when none could be started: no process, or no memory, is left. That passes."""

FINAL_CODES = frozenset({0, 2, 78})
"""Ended in good order, wrong usage, wrong configuration: starting again would come to the same. So does ``UNAVAILABLE``, no
store, at the first start, when the address may be wrong; a node that was up waits for its store to come back."""

UP_S = 60.0
"""A supervisor that lived for longer had found its store."""

PROVED_S = 5.0
"""One that lived for longer is not dying in a row, and is followed at once: its jobs may have no other node on this host."""

FREE_STARTS = 3
WAIT_MAX_S = 30.0


class Keeper:
    """Keeps one node's supervisor running until it is asked to end. To be used from the main thread.

    Args:
        order: The node's orders.
        module: Where the supervisor's ``main`` is.
        telemetry: Who is told.
        clock: How long a supervisor lived; ``None`` for the machine's.
        holds_lock: Whether a process has the store's write lock now; ``None`` if that cannot be told.
    """

    def __init__(
        self,
        order: NodeOrder,
        module: str,
        telemetry: Telemetry,
        clock: Clock | None = None,
        holds_lock: Callable[[int], bool | None] = lambda _: None,
    ) -> None:
        self._order = order
        self._module = module
        self._telemetry = telemetry
        self._clock = clock or SystemClock()
        self._holds_lock = holds_lock
        # `nohup` asks to have this one ignored. That is undone by waiting for it, since what is blocked is not ignored.
        is_deaf = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        self._watched = {*PASSED_ON, signal.SIGCHLD} - ({signal.SIGHUP} if is_deaf else set())
        self._child: subprocess.Popen[bytes] | None = None
        self._is_ending = False
        self._was_passed_on = False

    def run(self) -> int:
        """Run the node; return the exit code to end with."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, self._watched)
        # Whoever started this process may have had it ignored: then no death would be told, nor anybody's exit code.
        heard = signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        try:
            return self._keep()
        finally:
            signal.signal(signal.SIGCHLD, heard)
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _keep(self) -> int:
        began, deaths, code = self._now_s(), 0, 0
        self._telemetry.emit("keeper.started", pid=os.getpid(), app=self._order.app)
        while not self._is_ending:
            started = self._now_s()
            code = self._keep_one()
            lived_s = self._now_s() - started
            if self._is_ending or self._is_final(code, was_up=lived_s > UP_S):
                break
            deaths = deaths_in_a_row(deaths, lived_s)
            self._wait(wait_s(deaths), code)
            self._order = msgspec.structs.replace(self._order, is_again=True)
        if self._is_ending and not self._was_passed_on:
            code = 0  # Nobody was there to drain: that the supervisor had died before is told already.
        shown = 128 - code if code < 0 else code
        self._telemetry.emit("keeper.ended", pid=os.getpid(), code=shown, seconds=self._now_s() - began)
        return shown

    def _is_final(self, code: int, *, was_up: bool) -> bool:
        return code in FINAL_CODES or (code == UNAVAILABLE and not was_up and not self._order.is_again)

    def _keep_one(self) -> int:
        """Start a supervisor and return how it ended: its exit code, or a signal's number below zero."""
        argv = child_argv(self._module, signal.SIGTERM, self._order.name)
        try:
            child = subprocess.Popen(argv, stdin=subprocess.PIPE, process_group=0)
        except OSError:
            return NO_PROCESS
        self._child = child
        hand_over(child, msgspec.json.encode(self._order))
        stopped = StoppedInWrite(self._order.write_limit_s, self._clock, self._holds_lock)
        is_still = False
        while child.returncode is None:
            # The kernel tells of a child that was stopped by the same signal as of one that has ended.
            info = signal.sigtimedwait(self._watched, LOOK_S) if is_still else signal.sigwaitinfo(self._watched)
            if info is not None:
                self._take(info)
            is_still = child.returncode is None and stopped.look(child.pid)
            if is_still and stopped.stuck_s:
                self._kill(child, stopped.stuck_s)
        self._child = None
        return child.returncode

    def _kill(self, child: subprocess.Popen[bytes], seconds: float) -> None:
        os.kill(child.pid, signal.SIGKILL)
        self._telemetry.emit("supervisor.write_stuck", pid=child.pid, seconds=seconds)

    def _wait(self, seconds: float, code: int) -> None:
        facts = {"signal": -code} if code < 0 else {"code": code}
        self._telemetry.emit("supervisor.died", **facts, wait_s=seconds)
        end = self._now_s() + seconds
        while not self._is_ending and (left := end - self._now_s()) > 0:
            info = signal.sigtimedwait(self._watched, left)
            if info is not None:
                self._take(info)

    def _now_s(self) -> float:
        return self._clock.boot_ns() / 1e9

    def _take(self, info: signal.struct_siginfo) -> None:
        if info.si_signo == signal.SIGCHLD:
            self._reap()
            return
        self._is_ending = True
        if self._child is not None and self._child.poll() is None:
            self._child.send_signal(info.si_signo)
            self._child.send_signal(signal.SIGCONT)  # A stopped one would hear of it only when somebody lets it go on.
            self._was_passed_on = True

    def _reap(self) -> None:
        """Reap whatever there is: one SIGCHLD can stand for several deaths, and orphans come here, too."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if self._child is not None and pid == self._child.pid:
                self._child.returncode = os.waitstatus_to_exitcode(status)


def deaths_in_a_row(before: int, lived_s: float) -> int:
    """Return which death of a row this is, of a supervisor that lived for so long."""
    return 1 if lived_s > PROVED_S else before + 1


def wait_s(deaths: int) -> float:
    """Return the seconds before the next start after so many deaths in a row: none thrice, then 0.5, 1, 2 … 30."""
    return 0.0 if deaths <= FREE_STARTS else min(WAIT_MAX_S, 0.5 * 2.0 ** (deaths - FREE_STARTS - 1))
