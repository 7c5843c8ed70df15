from __future__ import annotations

from typing import Any

from rota.cli.story import story_of
from rota.model.job import HistoryEntry, JobRow
from rota.model.outcome import Failure
from rota.model.state import State
from rota.model.token import first_token_at

S = 1_000_000
BORN = 1_700_000_000


def row(state: State, **facts: Any) -> JobRow:
    return JobRow(
        token=first_token_at(BORN * 1000),
        state=state,
        queue="default",
        task="bake",
        key=None,
        slot=1,
        priority=0,
        fence=facts.pop("fence", 1),
        attempts=facts.pop("attempts", 0),
        crashes=0,
        payload=b"{}",
        codec=1,
        **facts,
    )


def told(row: JobRow, *history: HistoryEntry) -> list[str]:
    return [line.text for line in story_of(row, list(history))]


def test_each_attempt_has_its_number_worker_time_and_error() -> None:
    """A person wants to know what was tried before, without reading logs."""
    first = HistoryEntry(BORN * S + 3 * S, "failed", 1, "mitte/1", Failure("ValueError", "no oven"), BORN * S + S)
    final = row(State.SUCCEEDED, attempts=1, holder="mitte/2", started_at=BORN * S + 4 * S, settled_at=BORN * S + 6 * S)

    assert told(final, first) == [
        "submitted to default",
        "attempt 1 failed on mitte/1 after 2 s: ValueError: no oven",
        "succeeded on mitte/2 after 2 s",
    ]


def test_a_move_says_why() -> None:
    """Every moved job can say why it moved."""
    crash = HistoryEntry(BORN * S + S, "crashed", 1, "mitte/1", Failure("WorkerCrashed", "signal 9"))
    release = HistoryEntry(BORN * S + 2 * S, "released", 2, "mitte/2")
    now = row(State.RUNNING, fence=3, holder="mitte/3", claimed_at=BORN * S + 3 * S)

    assert told(now, crash, release)[1:] == [
        "moved away from mitte/1: its process died while the job ran: WorkerCrashed: signal 9",
        "moved away from mitte/2: it was gone before the job had started",
        "attempt 1 taken by mitte/3",
    ]


def test_of_a_lost_node_nobody_knows_whether_the_job_ran() -> None:
    """Its running table may be gone with its machine: then all that it held count."""
    crash = HistoryEntry(BORN * S + S, "crashed", 1, "mitte/1", Failure("NodeLost", "nobody saw how"))

    assert told(row(State.WAITING), crash)[1:] == [
        "moved away from mitte/1: it died with its node while it held the job: NodeLost: nobody saw how",
    ]


def test_a_recycle_or_a_drain_is_told_as_one() -> None:
    """The job may have run for minutes in the worker that ended; that it had not started would be wrong."""
    ended = Failure("WorkerEnded", "worker mitte/1 was recycled: a job in it overran its time limit.")
    release = HistoryEntry(BORN * S + S, "released", 1, "mitte/1", ended)

    assert told(row(State.WAITING), release)[1:] == [
        "given back, uncounted: worker mitte/1 was recycled: a job in it overran its time limit.",
    ]


def test_attempts_begin_anew_after_a_person_put_it_back() -> None:
    """The old attempts stay in the story; the numbers start again."""
    failed = HistoryEntry(BORN * S + S, "failed", 1, "mitte/1")
    reopened = HistoryEntry(BORN * S + 2 * S, "reopened", 1)
    again = HistoryEntry(BORN * S + 3 * S, "failed", 2, "mitte/1")

    lines = told(row(State.WAITING, attempts=1), failed, reopened, again)

    assert lines[1].startswith("attempt 1 failed")
    assert lines[2].startswith("put back by a person")
    assert lines[3].startswith("attempt 1 failed")


def test_a_refused_result_is_told() -> None:
    """A stale settle is refused, never silently."""
    stale = HistoryEntry(BORN * S + S, "stale", 4, "mitte/1")

    assert "was refused" in told(row(State.RUNNING), stale)[1]
    assert "fence 4" in told(row(State.RUNNING), stale)[1]


def test_a_snoozed_job_says_that_its_handler_wants_to_be_called_later() -> None:
    """It looks like one that was submitted with a delay, and has run already."""
    later = BORN * S + 60 * S
    failed = HistoryEntry(BORN * S + S, "failed", 1, "mitte/1")

    assert told(row(State.SCHEDULED, fence=2, due_at=later), failed)[-1].startswith("is due again: its handler asked")
    assert len(told(row(State.SCHEDULED, fence=1, due_at=later), failed)) == 2
    assert len(told(row(State.SCHEDULED, fence=0, due_at=later))) == 1
