"""A supervisor that was stopped inside of a write, and one that was not."""

from __future__ import annotations

import pytest

from rota.node.stopped import LOOK_S, LOOKS_MIN, StoppedInWrite
from rota.testing.clock import ManualClock

PID = 4_711


class Seen:
    """What the kernel would say of the process."""

    states = "TT"
    holds: bool | None = True


def watch_of(seen: Seen, clock: ManualClock) -> StoppedInWrite:
    return StoppedInWrite(2.0, clock, lambda _: seen.holds, lambda _: seen.states)


def look_for(watch: StoppedInWrite, clock: ManualClock, seconds: float) -> None:
    """Look for so long."""
    watch.look(PID)
    for _ in range(round(seconds / LOOK_S)):
        clock.advance(LOOK_S)
        watch.look(PID)


@pytest.mark.parametrize("states", ["T", "TTT", "tt"])
def test_one_that_stands_still_with_the_lock_is_stuck_after_the_limit(states: str, clock: ManualClock) -> None:
    """Stopped by a signal, or by a debugger: nobody else can write."""
    seen = Seen()
    seen.states = states
    watch = watch_of(seen, clock)

    look_for(watch, clock, 1.75)
    assert watch.stuck_s == 0

    clock.advance(LOOK_S)
    watch.look(PID)
    assert watch.stuck_s >= 2


@pytest.mark.parametrize(
    ("states", "holds"),
    [("SSS", True), ("RT", True), ("D", True), ("", True), ("TT", False), ("TT", None)],
    ids=["works", "one thread runs", "waits for the disk", "has ended", "holds no lock", "cannot be told"],
)
def test_any_other_is_left_alone_and_not_looked_at_again(states: str, holds: bool | None, clock: ManualClock) -> None:
    """The kernel tells when it is stopped again; until then its keeper sleeps."""
    seen = Seen()
    seen.states, seen.holds = states, holds
    watch = watch_of(seen, clock)

    look_for(watch, clock, 10)

    assert watch.stuck_s == 0
    assert not watch.look(PID)


def test_one_that_goes_on_in_between_begins_anew(clock: ManualClock) -> None:
    """It has let go of the lock, and taken it again."""
    seen = Seen()
    watch = watch_of(seen, clock)
    look_for(watch, clock, 1.75)
    seen.states = "SS"
    watch.look(PID)
    seen.states = "TT"

    look_for(watch, clock, 1.75)

    assert watch.stuck_s == 0


def test_a_sleep_of_the_machine_is_no_standing_still(clock: ManualClock) -> None:
    """An hour between two looks says nothing of the second."""
    watch = watch_of(Seen(), clock)
    watch.look(PID)
    clock.advance(3_600)

    watch.look(PID)

    assert LOOKS_MIN > 2
    assert watch.stuck_s == 0
