"""The app of the crash tests: handlers that work, note what they do, and die in every way. Run by real nodes."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import resource
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from rota import Retry, Rota, current_job
from tests.checkers.history import Alive, Ended, Recorder, Started

app = Rota()
_recorder = Recorder(os.environ.get("CRASH_LOG", os.devnull))


@contextlib.contextmanager
def noted() -> Iterator[None]:
    """Note the handler's start and, if it lives to see it, its end."""
    job = current_job()
    worker = f"process {os.getpid()}"
    _recorder.saw(Started(at=_now(), token=job.token, fence=job.fence, worker=worker))
    yield
    _recorder.saw(Ended(at=_now(), token=job.token, fence=job.fence))


def _now() -> int:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


@app.task
def work(seconds: float) -> int:
    """Be busy in a thread."""
    with noted():
        time.sleep(seconds)
    return os.getpid()


@app.task
async def work_async(seconds: float) -> int:
    """Be busy on the loop."""
    with noted():
        await asyncio.sleep(seconds)
    return os.getpid()


@app.task
def wait_for(gate: str) -> int:
    """Be busy until a file is there."""
    with noted():
        while not Path(gate).exists():
            time.sleep(0.005)
    return os.getpid()


@app.task
def beat(gate: str) -> int:
    """Note every few milliseconds that this run is alive, until a file is there."""
    job = current_job()
    with noted():
        while not Path(gate).exists():
            _recorder.saw(Alive(at=_now(), token=job.token, fence=job.fence))
            time.sleep(0.005)
    return os.getpid()


@app.task
def beat_for(seconds: float) -> int:
    """Be busy, and note 50 times a second that this run is alive."""
    job = current_job()
    end = _now() + seconds * 1e9
    with noted():
        while _now() < end:
            _recorder.saw(Alive(at=_now(), token=job.token, fence=job.fence))
            time.sleep(0.02)
    return os.getpid()


@app.task
def die_once(how: str, mark: str) -> int:
    """Take the process down the first time; be done the second."""
    with noted():
        if not Path(mark).exists():
            Path(mark).touch()
            DEATHS[how]()
    return os.getpid()


@app.task
def die_twice(how: str, mark: str) -> int:
    """Take the process down the first two times; be done the third."""
    with noted():
        with Path(mark).open("a") as file:
            file.write("x")
        if len(Path(mark).read_text()) < 3:
            DEATHS[how]()
    return os.getpid()


@app.task
def kill_when(gate: str, how: str) -> None:
    """Take the process down, each time, as soon as a file is there."""
    with noted():
        while not Path(gate).exists():
            time.sleep(0.005)
        os.write(2, b"the killer was here\n")
        DEATHS[how]()


@app.task
def start_child(note: str, gate: str) -> None:
    """Start a process, note its id, and wait for it, as a handler does that calls a program."""
    with noted():
        child = subprocess.Popen(["sleep", "600"])
        Path(note).write_text(str(child.pid))
        while not Path(gate).exists():
            time.sleep(0.005)
        child.kill()
        child.wait()


@app.task(timeout=0.3, retry=Retry(attempts=1))
def overrun(gate: str) -> None:
    """Pass the time limit and do not come back before a file is there."""
    with noted():
        while not Path(gate).exists():
            time.sleep(0.005)


@app.task
def tiny() -> None:
    """Do nothing, so that the worker is busy with settling."""


def _eat_memory() -> None:
    """Run into a limit of memory and die as the kernel would have it."""
    resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30))
    with contextlib.suppress(MemoryError):
        bytearray(2**40)
    os.kill(os.getpid(), signal.SIGKILL)


DEATHS = {
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "segfault": lambda: ctypes.string_at(0),
    "abort": os.abort,
    "exit 0": lambda: os._exit(0),
    "exit 75": lambda: os._exit(75),
    "memory": _eat_memory,
}
