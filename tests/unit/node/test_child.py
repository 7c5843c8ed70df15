"""A child ends with its parent, whenever the parent dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from rota.node import child
from tests.processes import is_running
from tests.unit.node.conftest import kill_quietly
from tests.unit.node.waiting import number_in, until

PARENT = """
import signal, subprocess, sys, time
from rota.node.process import child_argv
it = subprocess.Popen(child_argv("tests.unit.node.standin_child", signal.SIGKILL, "label"), stdin=subprocess.DEVNULL)
open(sys.argv[1], "w").write(str(it.pid))
time.sleep(600)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_child_ends_with_its_parent(
    tmp_path: Path, started: list[subprocess.Popen[bytes]], number: signal.Signals
) -> None:
    """Workers must not outlive the supervisor that answers for them."""
    note = tmp_path / "pid"
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(note)])
    started.append(parent)
    pid = number_in(note, "the child to be started")
    until(lambda: b"standin" in Path(f"/proc/{pid}/cmdline").read_bytes(), "the child to be executed")
    try:
        parent.send_signal(number)
        parent.wait()

        until(lambda: not is_running(pid), "the child to end")
    finally:
        kill_quietly(pid)


def test_a_child_of_a_parent_that_died_before_it_could_ask_ends_at_once() -> None:
    """Between fork and the request to the kernel nobody is warned: the parent's id is the only sign."""
    argv = [sys.executable, "-P", child.__file__, str(os.getpid() + 1), "9", "tests.unit.node.standin_child"]

    ended = subprocess.run(argv, stdin=subprocess.DEVNULL, timeout=30, check=False)

    assert ended.returncode == -signal.SIGKILL


def test_nothing_of_rota_is_imported_before_the_child_is_tied() -> None:
    """An import takes a tenth of a second, in which the parent may die unnoticed."""
    code = f"import sys; sys.argv = ['x']; import runpy; runpy.run_path({child.__file__!r}, run_name='seen')\n"
    code += "print([name for name in sys.modules if name.startswith(('rota', 'msgspec', 'asyncio'))])"

    seen = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True)

    assert seen.stdout.strip() == "[]"
