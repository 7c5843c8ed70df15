"""Processes that share one SQLite file are killed at any moment, in the middle of commits and of moving the log."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from random import Random

import pytest

from rota.app.blocking import drive
from rota.model.token import token_from_text, token_text
from rota.runtime.clock import SystemClock
from rota.runtime.entropy import SystemEntropy
from rota.store.sqlite.store import SqliteStore
from tests.checkers.conservation import conservation
from tests.checkers.history import AnyEvent, Broken, Counted, Found, Settled, Submitted, Submitting, read_history
from tests.checkers.no_job_lost import no_job_lost
from tests.checkers.settled_once import settled_once
from tests.house.tree import ROOT
from tests.power.judge import damage_in
from tests.unit.node.waiting import until

KILLS = int(os.environ.get("ROTA_PROCESS_KILLS", "6"))
PROCESSES = 3


class Crowd:
    """Processes on one file, each followed by another when it is killed."""

    def __init__(self, folder: Path) -> None:
        self.path, self.history = str(folder / "shop.db"), folder / "history.jsonl"
        self.running = [self._start() for _ in range(PROCESSES)]

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-m", "tests.power.submitter", self.path, str(self.history)], cwd=ROOT)

    def wait_for_more(self, bytes_more: int) -> None:
        """Wait until so much more has been noted."""
        wanted = self.size() + bytes_more
        until(lambda: self.size() >= wanted or self.has_failed(), "the processes to get on", 60)
        assert not self.has_failed()

    def size(self) -> int:
        """How long the history is."""
        return self.history.stat().st_size if self.history.exists() else 0

    def has_failed(self) -> bool:
        """Whether a process has ended by itself."""
        return any(process.poll() is not None for process in self.running)

    def kill(self, number: int) -> None:
        """Kill one, and start another."""
        self.running[number].kill()
        self.running[number].wait()
        self.running[number] = self._start()

    def end(self) -> None:
        """Kill all of them."""
        for process in self.running:
            process.kill()
        for process in self.running:
            process.wait()


def judge(crowd: Crowd) -> list[Broken]:
    """Hold the file against what was answered."""
    history = read_history(crowd.history)
    tokens = sorted({token_from_text(event.token) for event in history if isinstance(event, Submitting)})
    clock = SystemClock()
    store = SqliteStore.open(crowd.path, clock=clock, entropy=SystemEntropy(clock)).inline()
    (queue,) = drive(store.queues())
    found = drive(store.states(tokens))
    counted = Counted(
        at=_now(),
        live=queue.waiting + queue.scheduled + queue.running,
        finished=sum(drive(store.finished_counts()).values()),
    )
    drive(store.close())
    seen: list[AnyEvent] = [Found(at=_now(), token=token_text(token), state=state) for token, state in found.items()]
    whole = [*history, *seen, counted]
    return [*no_job_lost(whole, all_done=False), *settled_once(whole), *conservation(whole)]


def _now() -> int:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


@pytest.mark.timeout(120 + 20 * KILLS)
def test_processes_that_share_a_file_lose_nothing_when_some_are_killed(tmp_path: Path) -> None:
    """Whoever comes next finds the file whole, with all that any of them was told."""
    crowd, chance = Crowd(tmp_path), Random(1)
    try:
        crowd.wait_for_more(20_000)
        for _ in range(KILLS):
            crowd.wait_for_more(chance.randrange(20_000))
            crowd.kill(chance.randrange(PROCESSES))
        crowd.wait_for_more(20_000)
    finally:
        crowd.end()

    assert damage_in(Path(crowd.path)) == []
    assert judge(crowd) == []
    history = read_history(crowd.history)
    assert any(isinstance(event, Settled) for event in history)
    print(f"\n{KILLS} kills, {sum(isinstance(event, Submitted) for event in history)} accepted, 0 lost")
