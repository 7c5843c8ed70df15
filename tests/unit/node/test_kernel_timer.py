"""The kernel's timer: it kills a process that can do nothing any more, and nobody else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from rota.errors import ConfigError
from rota.node.kernel_timer import KernelTimer, NoTimer
from tests.unit.node.waiting import PATIENCE_S

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the timer is Linux's")

WITH_TIMER = """
import sys, time
from rota.node.kernel_timer import KernelTimer
def now(): return time.clock_gettime_ns(time.CLOCK_BOOTTIME)
timer, before = KernelTimer(), now()
{then}
print(before, flush=True)
time.sleep(600)
"""


def with_timer(started: list[subprocess.Popen[bytes]], then: str) -> tuple[subprocess.Popen[bytes], int]:
    """Start a process that arms its timer as said; return it, and an instant before it was armed."""
    process = subprocess.Popen([sys.executable, "-c", WITH_TIMER.format(then=then)], stdout=subprocess.PIPE)
    started.append(process)
    assert process.stdout is not None
    with process.stdout as stdout:
        return process, int(stdout.readline() or 0)


def boot_ns() -> int:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def test_a_stopped_process_is_killed_on_time(started: list[subprocess.Popen[bytes]]) -> None:
    """That is what it is for: a stopped process cannot look at a clock."""
    process, before = with_timer(started, "timer.arm(now() + 400_000_000)")

    process.send_signal(signal.SIGSTOP)

    assert process.wait(PATIENCE_S) == -signal.SIGKILL
    assert boot_ns() - before >= 400_000_000


def test_arming_again_moves_it(started: list[subprocess.Popen[bytes]]) -> None:
    """Each renewal puts it off."""
    then = "timer.arm(now() + 50_000_000); timer.arm(now() + 400_000_000)"
    process, before = with_timer(started, then)

    assert process.wait(PATIENCE_S) == -signal.SIGKILL
    assert boot_ns() - before >= 400_000_000


def test_an_instant_that_has_passed_is_now(started: list[subprocess.Popen[bytes]]) -> None:
    """Whoever was stopped between the look at the clock and the arming must not live on for it."""
    process, said = with_timer(started, "timer.arm(now() - 1)\nwhile True: pass")

    assert process.wait(PATIENCE_S) == -signal.SIGKILL
    assert said == 0


def test_disarmed_it_does_not_fall(started: list[subprocess.Popen[bytes]]) -> None:
    """A supervisor without workers may outlive its lease."""
    process, _ = with_timer(started, "timer.arm(now() + 300_000_000); timer.disarm()\ntime.sleep(0.4)")

    assert process.poll() is None


def test_a_child_does_not_inherit_it() -> None:
    """It is the process's own; what ends a worker is the death of its supervisor."""
    code = """
import os, time
from rota.node.kernel_timer import KernelTimer
timer = KernelTimer()
timer.arm(time.clock_gettime_ns(time.CLOCK_BOOTTIME) + 700_000_000)
is_child = os.fork() == 0
time.sleep(1.4)
print("the child lives" if is_child else "the parent lives")
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert ended.returncode == -signal.SIGKILL
    assert ended.stdout == "the child lives\n"


def test_process_one_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """There the kernel would ignore it, and nobody would know."""
    monkeypatch.setattr(os, "getpid", lambda: 1)

    with pytest.raises(ConfigError, match="rota run"):
        KernelTimer()


def test_no_timer_does_nothing() -> None:
    """For those who chose it."""
    NoTimer().arm(1)
    NoTimer().disarm()
