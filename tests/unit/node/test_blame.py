"""Whom a death is blamed on."""

from __future__ import annotations

import signal

import pytest

from rota.node.blame import blame_of_ending, blame_of_loss
from rota.node.process import Ending
from rota.store.port import WorkerRow

JOB = b"a token, 16 long"


def ended(
    *,
    code: int | None = None,
    number: int | None = None,
    asked: bool = False,
    killed: str | None = None,
    lines: str = "",
) -> Ending:
    return Ending(code, number, 64 * 2**20, 1.5, killed, asked, lines)


@pytest.mark.parametrize(
    ("ending", "has_will", "is_forgiven"),
    [
        (ended(number=signal.SIGKILL), False, False),
        (ended(number=signal.SIGSEGV), False, False),
        (ended(code=1), False, False),
        (ended(code=0), False, False),
        (ended(code=75), False, False),
        (ended(code=75), True, True),
        (ended(code=0, asked=True), False, True),
        (ended(number=signal.SIGKILL, asked=True, killed="its node ends"), False, True),
        (ended(number=signal.SIGTERM, asked=True), False, True),
        (ended(number=signal.SIGTERM), False, False),
        (ended(number=signal.SIGSEGV, asked=True), False, False),
        (ended(number=signal.SIGKILL, killed="it stood still in a write"), False, False),
    ],
)
def test_only_what_was_asked_for_or_willed_is_forgiven(ending: Ending, has_will: bool, is_forgiven: bool) -> None:
    """A handler can end its process with any code, so a code alone proves nothing."""
    blame = blame_of_ending("mitte/1", ending, [JOB], is_alone=False, has_will=has_will)

    assert blame.forgives is is_forgiven
    assert blame.running == {JOB}


def test_a_worker_that_ran_nothing_and_ended_well_is_forgiven() -> None:
    """Somebody sent the worker itself a SIGTERM: it drained."""
    assert blame_of_ending("mitte/1", ended(code=0), [], is_alone=False, has_will=False).forgives


@pytest.mark.parametrize(
    ("ending", "has_will", "says"),
    [
        (ended(code=75), True, "worker mitte/1 was recycled: a job in it overran its time limit."),
        (ended(code=0, asked=True), False, "worker mitte/1 was drained."),
        (
            ended(number=signal.SIGKILL, asked=True, killed="its node ends"),
            False,
            "worker mitte/1 was stopped: its node ends.",
        ),
        (
            ended(number=signal.SIGKILL, asked=True, killed="the node's lease has run out"),
            False,
            "worker mitte/1 was stopped: the node's lease has run out.",
        ),
    ],
)
def test_what_is_forgiven_is_not_called_a_crash(ending: Ending, has_will: bool, says: str) -> None:
    """It stands in the story of every job that was given back, where "crashed" would send people looking for one."""
    failure = blame_of_ending("mitte/1", ending, [JOB], is_alone=False, has_will=has_will).failure

    assert (failure.type, failure.message) == ("WorkerEnded", says)


def test_the_history_says_how_it_ended() -> None:
    """Signal, memory, and the last lines when they were kept."""
    blame = blame_of_ending(
        "mitte/alone", ended(number=9, lines="reading big.csv\n"), [JOB], is_alone=True, has_will=False
    )

    assert blame.condemns
    assert blame.failure.type == "WorkerCrashed"
    assert blame.failure.message == (
        "worker mitte/alone was ended by signal 9 (SIGKILL); it used at most 64 MiB of memory."
        " Its last lines:\nreading big.csv"
    )


@pytest.mark.parametrize("is_alone", [True, False])
def test_a_lost_node_counts_by_the_same_rule(is_alone: bool) -> None:
    """A job that takes the whole container down must not loop for ever."""
    worker = WorkerRow(3, 1, "mitte/1", "it", [], [], 1, is_alone, False, 77, 0, 1)

    blame = blame_of_loss(worker, [JOB], has_will=False, is_node_lost=True)

    assert (blame.failure.type, blame.condemns, blame.forgives) == ("NodeLost", is_alone, False)


def test_when_nobody_can_know_all_count() -> None:
    """The running table is out of reach: a machine is gone."""
    worker = WorkerRow(3, 1, "mitte/1", "it", [], [], 1, False, False, 77, 0, 1)

    blame = blame_of_loss(worker, None, has_will=False, is_node_lost=True)

    assert blame.running is None
    assert blame.failure.message == (
        "worker mitte/1 (process 77) ended with its node; nobody saw how, nor which of its jobs it was running."
    )


def test_what_a_drained_node_could_not_give_back_is_told_as_drained() -> None:
    """Its supervisor died in the drain: the next one must not say that the node was lost, or that the job had not run."""
    worker = WorkerRow(3, 1, "mitte/1", "it", [], [], 1, False, False, 77, 0, 1)

    blame = blame_of_loss(worker, [], has_will=True, is_node_lost=True)

    assert (blame.forgives, blame.failure.type) == (True, "WorkerEnded")
    assert blame.failure.message.startswith("worker mitte/1 (process 77) was drained, stopped or recycled")
