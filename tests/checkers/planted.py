"""Histories for the tests of the checkers: a clean one, and for each checker what it must catch."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tests.checkers.blame import blame
from tests.checkers.conservation import conservation
from tests.checkers.history import (
    Alive,
    AnyEvent,
    Broken,
    Closed,
    Condemned,
    Counted,
    Ended,
    Found,
    History,
    Killed,
    Left,
    NodeClosed,
    Released,
    Renewed,
    Reopened,
    Restored,
    RingSeen,
    Sampled,
    Settled,
    SettleStale,
    SettleUnknown,
    Started,
    SubmitRefused,
    Submitted,
    Submitting,
    SubmitUnknown,
    Yielded,
)
from tests.checkers.honest_replies import honest_replies
from tests.checkers.key_order import key_order
from tests.checkers.lease_exclusivity import lease_exclusivity
from tests.checkers.lease_kept import lease_kept
from tests.checkers.newest_run import newest_run
from tests.checkers.no_growth import no_growth
from tests.checkers.no_job_lost import no_job_lost
from tests.checkers.nothing_unexpected import nothing_unexpected
from tests.checkers.one_runner import one_runner
from tests.checkers.recovery import recovery
from tests.checkers.rescue import rescue
from tests.checkers.ring_moves import ring_moves
from tests.checkers.samples import samples
from tests.checkers.settled_once import settled_once

Checker = Callable[[History], Sequence[Broken]]
MS = 1_000_000
OWNERS = ["a", "b", "c", "a"] * 256


def accepted(at: int, token: str, key: str | None = None, *, batch: str = "", index: int = 0) -> list[AnyEvent]:
    return [
        Submitting(at=at * MS, token=token, queue="ovens", key=key, batch=batch, index=index),
        Submitted(at=at * MS + 500, token=token),
    ]


def run(at: int, token: str, fence: int, worker: str, *, lasts: int = 10, state: str = "succeeded") -> list[AnyEvent]:
    return [
        Started(at=at * MS, token=token, fence=fence, worker=worker),
        Alive(at=(at + lasts // 2) * MS, token=token, fence=fence),
        Ended(at=(at + lasts) * MS, token=token, fence=fence),
        Settled(at=(at + lasts) * MS + 1, token=token, fence=fence, state=state),
    ]


def found(*states: str) -> list[AnyEvent]:
    """Return rows A, B, C … in these states, and the counts that fit."""
    rows: list[AnyEvent] = [
        Found(at=900 * MS, token=token, state=state) for token, state in zip("ABCDEFGH", states, strict=False)
    ]
    live = sum(state in ("waiting", "running", "scheduled") for state in states)
    return [*rows, Counted(at=901 * MS, live=live, finished=len(states) - live)]


CLEAN: list[AnyEvent] = [
    *accepted(1, "A", "mitte"),
    *accepted(2, "B", "mitte"),
    *accepted(3, "C", "mitte", batch="x", index=0),
    *accepted(3, "D", "mitte", batch="x", index=1),
    Submitting(at=4 * MS, token="E", queue="ovens"),
    SubmitUnknown(at=5 * MS, token="E"),
    Submitting(at=5 * MS, token="Z", queue="ovens"),
    SubmitRefused(at=6 * MS, token="Z"),
    Started(at=10 * MS, token="A", fence=1, worker="w1"),
    Killed(at=15 * MS, worker="w1"),
    Renewed(at=1 * MS, node="n1"),
    NodeClosed(at=15 * MS, node="n1", is_alive=False),
    Closed(at=16 * MS, worker="w1"),
    Released(at=17 * MS, worker="w1", jobs=1),
    Sampled(at=18 * MS, live=5, finished=0, counted_live=5, counted_finished=0),
    *run(200, "A", 2, "w2"),
    SettleStale(at=215 * MS, token="A", fence=1),
    Settled(at=216 * MS, token="A", fence=2, state="succeeded"),
    *run(220, "B", 1, "w2", state="failed"),
    *run(240, "C", 1, "w3"),
    *run(260, "D", 1, "w2"),
    *run(262, "E", 1, "w3"),
    Reopened(at=300 * MS, token="B"),
    *run(310, "B", 3, "w2"),
    Yielded(at=305 * MS, token="B", fence=2),
    Left(at=900 * MS, kind="open workers", count=1, count_max=1),
    RingSeen(at=1, queue="ovens", epoch=1, owners=OWNERS),
    RingSeen(at=2, queue="ovens", epoch=1, owners=OWNERS),
    RingSeen(at=3, queue="ovens", epoch=2, owners=["a" if owner == "c" else owner for owner in OWNERS]),
    RingSeen(at=4, queue="ovens", epoch=3, owners=OWNERS),
    *found("succeeded", "succeeded", "succeeded", "succeeded", "succeeded"),
]


def recovered(history: History) -> list[Broken]:
    return recovery(history, seconds_max=1.0).broken


def kept(history: History) -> list[Broken]:
    return lease_kept(history, seconds_min=8.0, unheard_s=4.0)


def rescued(history: History) -> list[Broken]:
    return rescue(history, seconds_max=1.0)


CHECKERS: list[Checker] = [
    blame,
    conservation,
    honest_replies,
    kept,
    key_order,
    lease_exclusivity,
    newest_run,
    no_growth,
    no_job_lost,
    nothing_unexpected,
    one_runner,
    recovered,
    rescued,
    ring_moves,
    samples,
    settled_once,
]

PLANTED: list[tuple[Checker, str, list[AnyEvent]]] = [
    (no_job_lost, "nowhere", [*accepted(1, "A"), *accepted(2, "B"), *found("succeeded")]),
    (no_job_lost, "still waiting", [*accepted(1, "A"), *found("waiting")]),
    (settled_once, "failed under fence 2", [*run(1, "A", 1, "w1"), *run(20, "A", 2, "w2", state="failed")]),
    (settled_once, "succeeded under fence 2", [*run(1, "A", 1, "w1"), *run(20, "A", 2, "w2")]),
    (settled_once, "found failed", [*run(1, "A", 1, "w1"), *found("failed")]),
    (settled_once, "twice", [*found("failed"), Found(at=950 * MS, token="A", state="waiting")]),
    (one_runner, "5.000 ms before", [*run(10, "A", 1, "w1", lasts=10), *run(15, "A", 2, "w2")]),
    (
        one_runner,
        "on w1 was last alive",
        [
            Started(at=10 * MS, token="A", fence=1, worker="w1"),
            *run(15, "A", 2, "w2", lasts=2),
            Killed(at=20 * MS, worker="w1"),
        ],
    ),
    (
        one_runner,
        "fence 1 on w1 was last alive",
        [*run(10, "A", 1, "w1", lasts=50), *run(65, "A", 2, "w2", lasts=1), *run(20, "A", 3, "w3", lasts=1)],
    ),
    (one_runner, "fence 1 was run after fence 1", [*run(10, "A", 1, "w1"), *run(40, "A", 1, "w2")]),
    (
        key_order,
        "B began before A",
        [*accepted(1, "A", "k"), *accepted(2, "B", "k"), *run(20, "B", 1, "w1"), *run(40, "A", 1, "w1")],
    ),
    (key_order, "B began before A", [*accepted(1, "A", "k"), *accepted(2, "B", "k"), *run(20, "B", 1, "w1")]),
    (
        key_order,
        "B began before A",
        [
            *accepted(1, "A", "k"),
            *accepted(2, "B", "k"),
            *run(10, "A", 1, "w1"),
            *run(30, "B", 1, "w1"),
            *run(50, "A", 2, "w1"),
        ],
    ),
    (
        key_order,
        "B began while A",
        [*accepted(1, "A", "k"), *accepted(2, "B", "k"), *run(10, "A", 1, "w1"), *run(15, "B", 1, "w2")],
    ),
    (
        key_order,
        "of the same batch",
        [
            *accepted(1, "A", "k", batch="x", index=0),
            *accepted(1, "B", "k", batch="x", index=1),
            *run(20, "B", 1, "w1"),
            *run(40, "A", 1, "w1"),
        ],
    ),
    (
        nothing_unexpected,
        "began under fence 2 on w2, and was succeeded",
        [*accepted(1, "A"), *run(5, "A", 1, "w1"), *run(30, "A", 2, "w2")],
    ),
    (nothing_unexpected, "was run and never", [Started(at=1, token="A", fence=1, worker="w1")]),
    (nothing_unexpected, "was settled and never", [Settled(at=1, token="A", fence=1, state="failed")]),
    (
        honest_replies,
        "fence 1 was recorded",
        [
            SettleUnknown(at=1, token="A", fence=1, state="succeeded"),
            Settled(at=1, token="A", fence=1, state="succeeded"),
            SettleStale(at=2, token="A", fence=1),
        ],
    ),
    (honest_replies, "called stale", [Yielded(at=1, token="A", fence=3), SettleStale(at=2, token="A", fence=3)]),
    (
        kept,
        "n1 lived and was closed 2.000 s after",
        [Renewed(at=500 * MS, node="n1"), NodeClosed(at=2_500 * MS, node="n1", is_alive=True)],
    ),
    (
        kept,
        "n1 lived and was closed 1.000 s after",
        [
            Renewed(at=1 * MS, node="n1"),
            Restored(at=9_000 * MS),
            NodeClosed(at=10_000 * MS, node="n1", is_alive=True),
        ],
    ),
    (
        kept,
        "n1 lived and was closed 3.000 s after",
        [
            Renewed(at=1 * MS, node="n1"),
            Renewed(at=2_000 * MS, node="n2"),
            Renewed(at=3_500 * MS, node="n3"),
            Restored(at=6_000 * MS, could_read=True),
            NodeClosed(at=9_000 * MS, node="n1", is_alive=True, by="n2"),
        ],
    ),
    (
        newest_run,
        "recorded under fence 1, though fence 2",
        [
            Started(at=1, token="A", fence=1, worker="w1"),
            Started(at=2, token="A", fence=2, worker="w2"),
            Settled(at=3, token="A", fence=1, state="succeeded"),
        ],
    ),
    (
        newest_run,
        "recorded under fence 1, though fence 2",
        [Started(at=2, token="A", fence=2, worker="w2"), Yielded(at=3, token="A", fence=1)],
    ),
    (lease_exclusivity, "was closed while", [Closed(at=1, worker="w1"), Killed(at=2, worker="w1")]),
    (lease_exclusivity, "3 jobs of w1", [Released(at=1, worker="w1", jobs=3), Killed(at=2, worker="w1")]),
    (blame, "where it did not run", [*run(1, "A", 1, "w1"), Condemned(at=50 * MS, token="A", worker="n/alone#7")]),
    (
        blame,
        "which had others, too",
        [
            Started(at=1, token="A", fence=1, worker="n/1#4"),
            Killed(at=2, worker="n/1#4"),
            Condemned(at=3, token="A", worker="n/1#4"),
        ],
    ),
    (blame, "which had others, too", [Condemned(at=3, token="A", worker="n/1#4", is_known=False)]),
    (
        blame,
        "where it did not run",
        [*run(1, "A", 1, "n/alone#7"), Condemned(at=50 * MS, token="A", worker="n/alone#7")],
    ),
    (
        rescued,
        "2 jobs were back 2.000 s after the end of w1",
        [Killed(at=10 * MS, worker="w1"), Released(at=2_010 * MS, worker="w1", jobs=2)],
    ),
    (no_growth, "7 claims rows are left", [Left(at=1, kind="claims rows", count=7)]),
    (
        samples,
        "2 jobs had been accepted",
        [
            *accepted(1, "A"),
            *accepted(2, "B"),
            Sampled(at=9 * MS, live=1, finished=0, counted_live=1, counted_finished=0),
        ],
    ),
    (
        samples,
        "1 handed in",
        [*accepted(1, "A"), Sampled(at=9 * MS, live=1, finished=1, counted_live=1, counted_finished=1)],
    ),
    (
        samples,
        "counted as 2 and 0",
        [*accepted(1, "A"), Sampled(at=9 * MS, live=1, finished=0, counted_live=2, counted_finished=0)],
    ),
    (
        samples,
        "no head",
        [
            *accepted(1, "A", "k"),
            Sampled(at=9 * MS, live=1, finished=0, counted_live=1, counted_finished=0, keys_without_head=1),
        ],
    ),
    (conservation, "never submitted", [*accepted(1, "A"), *found("succeeded", "succeeded")]),
    (
        conservation,
        "was refused",
        [Submitting(at=1, token="A", queue="ovens"), SubmitRefused(at=2, token="A"), *found("waiting")],
    ),
    (conservation, "counts 3 and 4", [*accepted(1, "A"), *found("succeeded")[:1], Counted(at=9, live=3, finished=4)]),
    (
        recovered,
        "never ran again",
        [Started(at=10 * MS, token="A", fence=1, worker="w1"), Killed(at=15 * MS, worker="w1")],
    ),
    (
        recovered,
        "ran again 1.985 s after",
        [
            Started(at=10 * MS, token="A", fence=1, worker="w1"),
            Killed(at=15 * MS, worker="w1"),
            *run(2_000, "A", 2, "w2"),
        ],
    ),
    (
        ring_moves,
        "256 slots moved",
        [
            RingSeen(at=1, queue="ovens", epoch=1, owners=OWNERS),
            RingSeen(at=2, queue="ovens", epoch=2, owners=["b", "a", "c", "a"] * 128 + OWNERS[512:]),
        ],
    ),
    (
        ring_moves,
        "two observers",
        [
            RingSeen(at=1, queue="ovens", epoch=1, owners=OWNERS),
            RingSeen(at=2, queue="ovens", epoch=1, owners=OWNERS[::-1]),
        ],
    ),
]
