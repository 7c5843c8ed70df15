"""How soon the jobs of a worker that was killed with kill -9 start again."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence

from bench import run_log
from bench.side import Side, Workers, until
from bench.table import NEVER, Figures

JOBS = 40
DONE_MIN = 26
"""So many are done at the kill that next to none waits: what is interrupted then waits for a hand, not behind others."""
IN_FLIGHT_MIN = 3
WAIT_S = 120.0
MIDDLE_S = run_log.SLEEP_S / 4
"""A job that has been at it for this long is in the middle."""


def recovery(side: Side, mode: str) -> Figures:
    """Kill one of two workers with four jobs at once each, at least three of them in flight.

    Args:
        mode: "default" for its settings as they come, "recovery" for its best.

    Returns the seconds until the first and until the last of them started again, how many did, and how many there were.
    Waits two minutes at most.
    """
    side.fresh()
    with side.workers(2, mode=mode) as workers:
        return _after_kill(side, workers, whole=False)


def node_recovery(side: Side) -> Figures:
    """Kill one of two nodes with a worker each: keeper, supervisor and worker at once, as when a container goes."""
    side.fresh()
    with side.workers(1, mode="recovery", nodes=2) as workers:  # type: ignore[call-arg]
        return _after_kill(side, workers, whole=True)


def _after_kill(side: Side, workers: Workers, *, whole: bool) -> Figures:
    workers.open_gate()
    side.call("sleepers", JOBS)
    victim = 0

    def finds_victim() -> bool:
        nonlocal victim
        victim = _busy_worker(run_log.read(side.run_log))
        return victim > 0

    until("a worker to be in the middle of its jobs", finds_victim, every_s=0.002)
    targets = _node_of(workers, victim) if whole else [victim]
    killed_at = time.monotonic()
    for pid in targets:
        os.kill(pid, signal.SIGKILL)
    entries = run_log.read(side.run_log)
    lost = _running(entries, victim)
    end = killed_at + WAIT_S
    while time.monotonic() < end:
        again = _again(run_log.read(side.run_log), lost, killed_at)
        if len(again) == len(lost):
            break
        time.sleep(0.02)
    waits = sorted(again.values())
    first, last = (waits[0], waits[-1]) if len(waits) == len(lost) else (waits[0] if waits else NEVER, NEVER)
    side.notes = {"again after s": [round(wait, 3) for wait in waits], "in flight": len(lost)}
    return first, last, float(len(waits)), float(len(lost))


def _busy_worker(entries: Sequence[run_log.Entry]) -> int:
    """Return a process that has enough jobs in their middle, once enough are done; 0 while there is none."""
    if sum(entry.what == "end" for entry in entries) < DONE_MIN:
        return 0
    now = time.monotonic()
    for pid in {entry.pid for entry in entries}:
        running = _running(entries, pid)
        starts = [
            entry.at for entry in entries if entry.what == "start" and entry.pid == pid and entry.number in running
        ]
        if len(starts) >= IN_FLIGHT_MIN and max(starts) + MIDDLE_S < now < min(starts) + run_log.SLEEP_S - MIDDLE_S / 2:
            return pid
    return 0


def _running(entries: Sequence[run_log.Entry], pid: int) -> set[int]:
    started = {entry.number for entry in entries if entry.what == "start" and entry.pid == pid}
    return started - {entry.number for entry in entries if entry.what == "end" and entry.pid == pid}


def _again(entries: Sequence[run_log.Entry], numbers: set[int], since: float) -> dict[int, float]:
    """Return how long after a moment each of these jobs started again first."""
    waits: dict[int, float] = {}
    for entry in entries:
        if entry.what == "start" and entry.number in numbers and entry.at > since:
            waits.setdefault(entry.number, entry.at - since)
    return waits


def _node_of(workers: Workers, victim: int) -> list[int]:
    """Return all processes of the node to which a worker belongs, keeper first."""
    for keeper in workers.processes:
        pids = Workers([keeper], lambda: None).pids
        if victim in pids:
            return sorted(pids, key=lambda pid: pid != keeper.pid)
    return [victim]
