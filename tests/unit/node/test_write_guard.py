"""The write guard: it kills who stands still in a write, and nobody else."""

from __future__ import annotations

from typing import Any

import pytest

from rota.node.write_guard import LOOKS_MIN, WriteGuard
from rota.telemetry.telemetry import Telemetry
from rota.testing.clock import ManualClock


class Table:
    write_since_ns = 0


class Process:
    pid = 4_711
    name = "mitte/1"

    def __init__(self) -> None:
        self.table = Table()
        self.killed: list[str] = []

    def kill(self, why: str) -> None:
        self.killed.append(why)


@pytest.fixture
def process() -> Process:
    return Process()


def guard_of(process: Process, clock: ManualClock, states: str = "SS", holds_lock: bool | None = True) -> WriteGuard:
    crew: Any = [process]
    return WriteGuard(crew, 2.0, clock, Telemetry(), holds_lock=lambda pid: holds_lock, states=lambda pid: states)


def look_for(guard: WriteGuard, clock: ManualClock, seconds: float) -> None:
    """Look four times a second for so long."""
    for _ in range(round(seconds * 4)):
        clock.advance(0.25)
        guard.look()


def test_a_write_that_stands_still_is_ended(process: Process, clock: ManualClock) -> None:
    """Nobody else can write meanwhile."""
    guard = guard_of(process, clock)
    process.table.write_since_ns = clock.boot_ns()

    look_for(guard, clock, 1.75)
    assert process.killed == []

    look_for(guard, clock, 0.5)
    assert process.killed[0] == "it stood still in a write for 2.0 s"


def test_many_short_writes_are_not_one_long_one(process: Process, clock: ManualClock) -> None:
    """A busy worker is in a write at nearly every look."""
    guard = guard_of(process, clock)

    for _ in range(40):
        process.table.write_since_ns = clock.boot_ns()
        look_for(guard, clock, 0.25)

    assert process.killed == []


def test_a_worker_that_only_waits_for_the_lock_lives(process: Process, clock: ManualClock) -> None:
    """A database locked by a stranger is no worker's fault: nobody is in a write then."""
    guard = guard_of(process, clock)

    look_for(guard, clock, 20)

    assert process.killed == []


def test_a_long_mark_seen_for_the_first_time_kills_nobody(process: Process, clock: ManualClock) -> None:
    """The machine slept, or this supervisor was stopped: the worker has had no chance to go on."""
    process.table.write_since_ns = clock.boot_ns()
    guard = guard_of(process, clock)
    guard.look()
    clock.advance(3_600)

    for _ in range(LOOKS_MIN - 2):
        guard.look()
    assert process.killed == []

    guard.look()
    assert process.killed


def test_a_worker_that_waits_for_the_disk_is_given_longer(process: Process, clock: ManualClock) -> None:
    """A kill would not end that wait, and a slow disk is no fault of the worker."""
    guard = guard_of(process, clock, states="SD")
    process.table.write_since_ns = clock.boot_ns()

    look_for(guard, clock, 9.5)
    assert process.killed == []

    look_for(guard, clock, 0.75)
    assert process.killed


@pytest.mark.parametrize(("holds_lock", "is_killed"), [(True, True), (False, False), (None, True)])
def test_a_mark_without_the_lock_kills_nobody(
    process: Process, clock: ManualClock, holds_lock: bool | None, is_killed: bool
) -> None:
    """A handler that never lets go of the interpreter keeps a mark from being cleared, and holds up nobody.

    Where the kernel does not tell who has the lock, the mark alone must do.
    """
    guard = guard_of(process, clock, holds_lock=holds_lock)
    process.table.write_since_ns = clock.boot_ns()

    look_for(guard, clock, 5)

    assert bool(process.killed) is is_killed
