"""Under which bounds the model is searched, and which mutants must give a counterexample.

One search of everything at once would take hours; each of these has all of one side and little of the others.
"""

from __future__ import annotations

from dataclasses import dataclass

ONE_RUNNER = "running"
THE_FENCE = "my_claim[w]==claim_number"
NO_FALSE_DEATH = "since_"
ALL_RELEASED = "target[o]"
CLOSED_CLAIMS_NOTHING = "open[w]"
SETTLED_ONCE = "recorded_claim"
TIMED = "armed"
NOT_STUCK = "finished"


@dataclass(frozen=True)
class Bounds:
    """One exhaustive search.

    Attributes:
        about: What it has all of.
        flags: For the model.
    """

    about: str
    flags: tuple[str, ...]


@dataclass(frozen=True)
class Mutant:
    """A mistake in the protocol.

    Attributes:
        name: The flag that makes it.
        says: The mistake, in words.
        violates: A part of the assertion that must fail.
        flags: Bounds under which it shows.
    """

    name: str
    says: str
    violates: str
    flags: tuple[str, ...] = ()


SHORT = [
    Bounds("a lease renewed or not, two workers one after the other", ()),
    Bounds("replies that get lost, connections that are cut", ("LOSSES=2", "RENEWALS=0")),
    Bounds("reads that fail", ("FAILURES=1", "WORKERS=1")),
    Bounds("two observers on other hosts", ("OBSERVERS=2", "WORKERS=1", "RENEWALS=0")),
    Bounds(
        "one beside the node, one on another host, slow reads",
        ("OBSERVERS=2", "BESIDE", "WORKERS=1", "SLOW_READS", "LONG_JOB"),
    ),
]
"""Seconds in all: for every run of the tests."""

LONG = [
    Bounds("ticks of half a second", ("K=11", "WORKERS=1")),
    Bounds("ticks of half a second, and no renewal", ("K=11", "RENEWALS=0")),
    Bounds("finer ticks, slow reads", ("K=4", "WORKERS=1", "SLOW_READS")),
    Bounds("two renewals", ("RENEWALS=2",)),
    Bounds("slow reads that may fail", ("SLOW_READS", "FAILURES=1")),
    Bounds("replies that get lost, a renewal", ("LOSSES=1",)),
    Bounds("two observers, a renewal", ("OBSERVERS=2", "WORKERS=1")),
    Bounds("two observers, one beside the node", ("OBSERVERS=2", "BESIDE", "WORKERS=1", "RENEWALS=0")),
    Bounds("two observers, two workers", ("OBSERVERS=2", "RENEWALS=0")),
]
"""Minutes in all: for ``make model``."""

MUTANTS = [
    Mutant("NO_FENCE", "a settle is recorded whatever its fence", THE_FENCE),
    Mutant("FENCE_NOT_RAISED", "a claim does not raise the fence", THE_FENCE),
    Mutant("WORKER_NOT_CHECKED", "a claim does not look whether its worker is open", CLOSED_CLAIMS_NOTHING),
    Mutant("RELEASE_FIRST", "what a worker holds is released before its row is closed", ALL_RELEASED),
    Mutant("PLAIN_CLOSE", "a close does not wait for a claim in flight", ALL_RELEASED),
    Mutant(
        "ONE_STATEMENT", "close and release are one statement, which sees what was there when it began", ALL_RELEASED
    ),
    Mutant("RELEASE_BEFORE_REAP", "a supervisor releases when it has sent the SIGKILL, before the reap", ONE_RUNNER),
    Mutant("NO_CAS", "a node is closed whatever its counter is by then", NO_FALSE_DEATH),
    Mutant("FROM_SEND", "an observer counts from the sending of the read that first saw a value", NO_FALSE_DEATH),
    Mutant(
        "FROM_FAILED_READ", "an observer counts from a read that failed", NO_FALSE_DEATH, ("FAILURES=1", "WORKERS=1")
    ),
    Mutant(
        "COUNT_KEPT", "an observer whose read failed does not start over", NO_FALSE_DEATH, ("FAILURES=1", "WORKERS=1")
    ),
    Mutant(
        "JUDGED_BY_RETURN",
        "an observer judges by a read that returned, but had not begun, a full lease after the first sight",
        ONE_RUNNER,
        ("OBSERVERS=2", "BESIDE", "WORKERS=1", "SLOW_READS", "LONG_JOB"),
    ),
    Mutant("LEASE_ONE_EARLY", "`<` for `<=` at the end of a lease, by the observer", NO_FALSE_DEATH),
    Mutant("TIMER_ONE_LATE", "`<=` for `<` at the end of what the holder may use", ONE_RUNNER),
    Mutant(
        "ARMED_FROM_REPLY",
        "the kernel's timer is armed from the reply to a renewal, not from its sending",
        ONE_RUNNER,
        ("K=4",),
    ),
    Mutant("TIMER_AFTER_LEASE", "the kernel's timer is longer than the lease", ONE_RUNNER),
    Mutant("NO_TIMER", "the kernel has no timer: only the supervisor itself stops its workers", ONE_RUNNER),
    Mutant(
        "DISARMED_BEFORE_REAP", "the timer is disarmed when the workers have been told to end, before the reap", TIMED
    ),
    Mutant("WORKERS_OUTLIVE", "workers go on when their supervisor has died", ONE_RUNNER),
    Mutant("DRIFT_AT_BOUND", "a clock runs 16/11 as fast as the node's", ONE_RUNNER),
    Mutant("DRIFT_BEYOND", "a clock runs faster than that", ONE_RUNNER),
    Mutant(
        "ORPHAN_AT_ONCE",
        "a worker whose node was closed on other evidence is dead at once",
        ONE_RUNNER,
        ("OBSERVERS=2", "BESIDE", "WORKERS=1", "RENEWALS=0"),
    ),
    Mutant("NO_ADOPTION", "what a claim brought whose reply was lost is not looked for", NOT_STUCK, ("LOSSES=1",)),
    Mutant(
        "LOST_SETTLE_IS_STALE",
        "a settle whose reply was lost is told stale when sent again",
        SETTLED_ONCE,
        ("LOSSES=1",),
    ),
    Mutant("NO_SECOND_LOOK", "nobody goes on with a release that was left off", NOT_STUCK),
]
