"""Histories that only look wrong: what each checker must not cry at."""

from __future__ import annotations

from tests.checkers.blame import blame
from tests.checkers.history import (
    AnyEvent,
    Cancelled,
    Condemned,
    Killed,
    NodeClosed,
    Released,
    Renewed,
    Reopened,
    Restored,
    Sampled,
    Settled,
    SettleStale,
    SettleUnknown,
    Started,
    Submitted,
    Submitting,
    SubmitUnknown,
)
from tests.checkers.honest_replies import honest_replies
from tests.checkers.key_order import key_order
from tests.checkers.lease_exclusivity import lease_exclusivity
from tests.checkers.newest_run import newest_run
from tests.checkers.no_job_lost import no_job_lost
from tests.checkers.planted import MS, Checker, accepted, kept, recovered, run
from tests.checkers.samples import samples
from tests.checkers.settled_once import settled_once

HARMLESS: list[tuple[Checker, str, list[AnyEvent]]] = [
    (no_job_lost, "no promise was made", [Submitting(at=1, token="A", queue="o"), SubmitUnknown(at=2, token="A")]),
    (
        settled_once,
        "the second was never confirmed",
        [
            SettleUnknown(at=1, token="A", fence=1, state="failed"),
            Settled(at=2, token="A", fence=2, state="succeeded"),
        ],
    ),
    (
        key_order,
        "it had expired before it was run, and a reopened job takes the last place",
        [
            *accepted(1, "A", "k"),
            *accepted(2, "B", "k"),
            Settled(at=3 * MS, token="A", fence=0, state="expired"),
            Reopened(at=4 * MS, token="A"),
            *run(20, "B", 1, "w1"),
            *run(40, "A", 1, "w1"),
        ],
    ),
    (
        honest_replies,
        "a person had reopened it",
        [
            Settled(at=1, token="A", fence=1, state="failed"),
            Reopened(at=2, token="A"),
            SettleStale(at=3, token="A", fence=1),
        ],
    ),
    (
        blame,
        "of a lost machine nobody knows what it was running",
        [
            *run(1, "A", 1, "n/alone#7"),
            Condemned(at=50 * MS, token="A", worker="n/alone#7", is_known=False),
        ],
    ),
    (
        blame,
        "nor whether it had begun",
        [Condemned(at=50 * MS, token="A", worker="n/alone#7", is_known=False)],
    ),
    (
        kept,
        "the others were answered again before they doubted, and its lease ran out",
        [
            Renewed(at=1_000 * MS, node="n1"),
            Renewed(at=2_000 * MS, node="n2"),
            Restored(at=5_900 * MS, could_read=True),
            NodeClosed(at=9_100 * MS, node="n1", is_alive=True, by="n2"),
        ],
    ),
    (
        kept,
        "a full lease had passed",
        [Renewed(at=1 * MS, node="n1"), NodeClosed(at=9_000 * MS, node="n1", is_alive=True)],
    ),
    (
        newest_run,
        "the newer run had not begun",
        [
            Started(at=1, token="A", fence=1, worker="w1"),
            Settled(at=2, token="A", fence=1, state="failed"),
            Reopened(at=3, token="A"),
            Started(at=4, token="A", fence=2, worker="w2"),
        ],
    ),
    (lease_exclusivity, "nothing was released", [Released(at=1, worker="w1", jobs=0)]),
    (
        samples,
        "a submit without a reply counts or not",
        [
            Submitting(at=1, token="A", queue="ovens"),
            SubmitUnknown(at=2, token="A"),
            Sampled(at=3, live=1, finished=0, counted_live=1, counted_finished=0),
        ],
    ),
    (
        key_order,
        "their accepts overlapped",
        [
            Submitting(at=1 * MS, token="A", queue="ovens", key="k"),
            *accepted(2, "B", "k"),
            Submitted(at=3 * MS, token="A"),
            *run(20, "B", 1, "w1"),
            *run(40, "A", 1, "w1"),
        ],
    ),
    (
        key_order,
        "it was for later",
        [
            Submitting(at=1 * MS, token="A", queue="ovens", key="k", is_delayed=True),
            Submitted(at=1 * MS, token="A"),
            *accepted(2, "B", "k"),
            *run(20, "B", 1, "w1"),
        ],
    ),
    (
        key_order,
        "it was cancelled",
        [
            *accepted(1, "A", "k"),
            *accepted(2, "B", "k"),
            Cancelled(at=3 * MS, token="A", state="waiting"),
            *run(20, "B", 1, "w1"),
        ],
    ),
    (
        key_order,
        "another queue",
        [
            *accepted(1, "A", "k"),
            Submitting(at=2 * MS, token="B", queue="letters", key="k"),
            *run(5, "B", 1, "w1"),
            *run(7, "A", 1, "w2"),
        ],
    ),
    (
        recovered,
        "it had been handed over",
        [
            Started(at=10 * MS, token="A", fence=1, worker="w1"),
            SettleUnknown(at=12 * MS, token="A", fence=1, state="succeeded"),
            Killed(at=15 * MS, worker="w1"),
        ],
    ),
]
