"""A stand-in for a worker's ``main``: a process that behaves as its order says, for tests of who starts it."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec

from rota.node.liveness import FileLocks
from rota.node.order import WorkerStart
from rota.node.process import read_orders
from rota.runtime.clock import SystemClock
from rota.worker.running import RunningTable


def main() -> int:
    """Read a worker's start, hold its proof, and behave as ``start.app`` says."""
    start = msgspec.json.decode(read_orders(), type=WorkerStart)
    table = RunningTable.open(start.order.table)
    FileLocks(start.folder, SystemClock()).hold(start.order.proof)
    behave, _, note = start.app.partition(" ")
    if note:
        Path(note).write_text(str(os.getpid()))
    return int(BEHAVIOURS[behave](table) or 0)


def wait_for_ever(table: RunningTable) -> None:
    while True:
        signal.pause()


def end_on_sigterm(table: RunningTable) -> int:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    table.mark(1, b"ready for a term")
    signal.sigwait({signal.SIGTERM})
    return 0


def segfault(table: RunningTable) -> None:
    table.mark(0, b"sixteen bytes ok")
    sys.stderr.write("about to read where nothing is\n")
    sys.stderr.flush()
    ctypes.string_at(0)


def babble(table: RunningTable) -> None:
    """Write three million bytes and some last words, and die."""
    sys.stderr.write("x" * 3_000_000 + "my last words\n")
    sys.stderr.flush()
    os._exit(7)


def babble_by_another(table: RunningTable) -> None:
    """Leave a process outside of the group that goes on writing for a long while, and die."""
    command = [sys.executable, "-c", "import time\nwhile True: print('still here', flush=True), time.sleep(0.001)"]
    babbler = subprocess.Popen(command, stdout=sys.stderr, start_new_session=True)
    Path(table.path + ".child").write_text(str(babbler.pid))
    os._exit(7)


def leave_a_child(table: RunningTable) -> None:
    """Start a process that would outlive this one, and die."""
    child = subprocess.Popen(["sleep", "600"])
    Path(table.path + ".child").write_text(str(child.pid))
    os._exit(7)


def write_for_ever(table: RunningTable) -> None:
    table.began()
    os.kill(os.getpid(), signal.SIGSTOP)


BEHAVIOURS: dict[str, Callable[[RunningTable], int | None]] = {
    "wait": wait_for_ever,
    "term": end_on_sigterm,
    "segfault": segfault,
    "babble": babble,
    "babble-on": babble_by_another,
    "leave": leave_a_child,
    "write": write_for_ever,
    "exit": lambda table: 5,
}
