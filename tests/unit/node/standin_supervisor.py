"""A stand-in for a supervisor's ``main``: ``order.app`` says how it behaves; its pids and signals go to ``order.store``."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import apsw
import msgspec

from rota.node.order import NodeOrder
from rota.node.process import child_argv, read_orders

SIGNALS = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}


def main() -> int:
    """Note the own pid; then end with a code, or wait for a signal, note it, and end with code 3."""
    order = msgspec.json.decode(read_orders(), type=NodeOrder)
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    if order.app == "with a child":
        argv = child_argv("tests.unit.node.standin_child", signal.SIGKILL)
        child = subprocess.Popen(argv, stdin=subprocess.DEVNULL)
        note(order.store + ".children", child.pid)
    note(order.store + ".again", order.is_again)
    note(order.store, os.getpid())
    if order.app == "exit 1, then 69":
        return 69 if order.is_again else 1
    if order.app.startswith("exit "):
        return int(order.app.removeprefix("exit "))
    if order.app == "write" and not order.is_again:
        # Kept for as long as this process lives: SQLite lets go of the lock when the connection goes.
        opened = apsw.Connection(str(order.settings["database"]))
        opened.execute("BEGIN IMMEDIATE")
        note(order.store + ".writing", 1)
    if order.app == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    note(order.store + ".signals", signal.sigwait(SIGNALS))
    if order.app == "die when asked":
        os.kill(os.getpid(), signal.SIGKILL)
    return 3


def note(path: str, number: int) -> None:
    with Path(path).open("a") as file:
        file.write(f"{int(number)}\n")
