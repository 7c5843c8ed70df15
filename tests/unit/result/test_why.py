"""Every waiting job can say why it waits, and every moved one why it moved."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from rota.model.job import HistoryEntry, JobRow
from rota.model.outcome import Failure
from rota.model.state import State
from rota.model.token import token_text
from rota.result.why import Surroundings, moved, why
from rota.runtime.entropy import build_token
from rota.store.port import QueueRow, WorkerRow

NOW_US = 1_767_225_600 * 10**6
JOB = JobRow(
    token=build_token(1, 1),
    state=State.WAITING,
    queue="ovens",
    task="bake",
    key="mitte",
    slot=3,
    priority=0,
    fence=0,
    attempts=0,
    crashes=0,
    payload=b"",
    codec=1,
    ready=True,
    is_head=True,
)
AHEAD = replace(JOB, token=build_token(1, 2), state=State.RUNNING, holder="nord/1")
WORKER = WorkerRow(
    id=1,
    node_id=1,
    name="mitte/1",
    proof="",
    queues=["ovens"],
    tasks=["bake"],
    weight=1,
    is_alone=False,
    is_draining=False,
    pid=1,
    registered_at=0,
    held=0,
)
QUEUE = QueueRow(id=1, name="ovens", is_paused=False, waiting=1_200, scheduled=0, running=8, waiting_max=10**7)
FAILED = HistoryEntry(NOW_US, "failed", 1, "mitte/1", Failure("OvenError", "too cold"))


def around(**changes: Any) -> Surroundings:
    """Return what stands around the job: one fitting worker, nobody ahead."""
    return Surroundings(**({"now_us": NOW_US, "head": None, "workers": [WORKER], "queue": QUEUE} | changes))


@pytest.mark.parametrize(
    ("job", "changes", "says"),
    [
        (
            {"expires_at": NOW_US - 1},
            {"workers": []},
            "starts some. It expired at 2025-12-31 23:59:59 UTC, and is dropped within",
        ),
        ({}, {"queue": replace(QUEUE, running=0)}, "It is ready, and is taken as soon as a worker has a free hand."),
        ({}, {}, "It is ready, and the workers are busy. Queue 'ovens' has 1,200 waiting and 8 running."),
        ({"state": State.RUNNING, "holder": "mitte/1"}, {}, "It is running on worker mitte/1."),
        ({"state": State.RUNNING, "holder": "mitte/1", "cancel_asked": True}, {}, "asked to cancel"),
        ({}, {"queue": replace(QUEUE, is_paused=True)}, "Queue 'ovens' is paused; `rota resume ovens`"),
        ({}, {"workers": []}, "No worker is running"),
        ({}, {"workers": [replace(WORKER, is_alone=True)]}, "No worker is running"),
        ({}, {"workers": [replace(WORKER, queues=["doors"])]}, "No worker serves queue 'ovens'"),
        ({}, {"workers": [replace(WORKER, tasks=["ship"])]}, "knows the task 'bake'"),
        ({}, {"workers": [replace(WORKER, is_draining=True)]}, "is being drained (mitte/1)"),
        (
            {"is_head": False, "ready": False},
            {"head": AHEAD},
            f"the turn of job {token_text(AHEAD.token)}, which is running",
        ),
        (
            {"is_head": False, "ready": False},
            {"head": replace(AHEAD, state=State.SCHEDULED, due_at=NOW_US + 5_000_000)},
            "which is tried again at 2026-01-01 00:00:05 UTC",
        ),
        ({"is_head": False, "ready": False}, {"head": replace(AHEAD, state=State.WAITING)}, "waits for its worker"),
        ({"is_head": False, "ready": False}, {}, "about to get the turn"),
        ({"is_alone": True, "crashes": 2}, {}, "died 2 times while it ran, so it is a suspect"),
        (
            {"state": State.SCHEDULED, "due_at": NOW_US + 90_000_000, "is_head": False},
            {},
            "It is scheduled for 2026-01-01 00:01:30 UTC, in 1 min 30 s.",
        ),
        ({"state": State.SCHEDULED, "due_at": NOW_US + 90_000_000}, {}, "keeps the turn of key 'mitte'"),
        ({"key": None, "is_head": False}, {}, "the workers are busy"),
    ],
)
def test_a_waiting_job_says_what_it_waits_for(job: dict[str, Any], changes: dict[str, Any], says: str) -> None:
    """The reader should know what to do next without looking at anything else."""
    reason = why(replace(JOB, **job), around(**changes))

    assert reason is not None
    assert says in reason


@pytest.mark.parametrize(
    "changes", [{"workers": [replace(WORKER, queues=["doors"])]}, {"queue": replace(QUEUE, is_paused=True)}]
)
def test_a_command_in_a_reason_can_be_pasted_whatever_the_queue_is_called(changes: dict[str, Any]) -> None:
    """A queue's name may have blanks, and more that a shell would take for its own."""
    reason = str(why(replace(JOB, queue="oven s"), around(**changes)))

    assert reason.count("oven s") == reason.count("'oven s'") == 2


def test_a_job_that_backs_off_tells_the_error_it_backs_off_from() -> None:
    """The next question would have been: what went wrong?"""
    job = replace(JOB, state=State.SCHEDULED, fence=1, attempts=1, due_at=NOW_US + 2 * 3_600 * 10**6)

    reason = why(job, around(), [FAILED])

    assert reason == (
        "Attempt 1 failed (OvenError: too cold); the next begins at 2026-01-01 02:00:00 UTC, in 2 h. "
        "It keeps the turn of key 'mitte' meanwhile."
    )


@pytest.mark.parametrize("attempts", [0, 1])
def test_a_job_that_put_itself_off_says_so(attempts: int) -> None:
    """It was not its submitter who wanted it later, and what failed before is not what it waits for."""
    job = replace(JOB, state=State.SCHEDULED, fence=2, attempts=attempts, due_at=NOW_US + 5_000_000)

    reason = why(job, around(), [FAILED])

    assert reason == (
        "Its handler asked to be called later (Snooze): again at 2026-01-01 00:00:05 UTC, in 5 s; no attempt is counted. "
        "It keeps the turn of key 'mitte' meanwhile."
    )


def test_instants_are_told_as_everything_around_the_sentence_is() -> None:
    """One clock on a screen: the same instant in two zones looks like two instants."""
    later = {"due_at": NOW_US + 90_000_000, "expires_at": NOW_US - 1}
    around_here = around(clock_text=lambda at: f"<{at - NOW_US}>")

    assert "scheduled for <90000000>, in 1 min 30 s." in str(
        why(replace(JOB, state=State.SCHEDULED, **later), around_here)
    )
    assert "It expired at <-1>, and" in str(why(replace(JOB, expires_at=NOW_US - 1), around_here))
    behind = around(head=replace(AHEAD, state=State.SCHEDULED, due_at=NOW_US + 1), clock_text=around_here.clock_text)
    assert "is tried again at <1>;" in str(why(replace(JOB, is_head=False, ready=False), behind))


@pytest.mark.parametrize("state", [State.SUCCEEDED, State.FAILED, State.CANCELLED, State.EXPIRED])
def test_a_finished_job_waits_for_nothing(state: State) -> None:
    """There is nothing to explain."""
    assert why(replace(JOB, state=state), around()) is None


def test_the_reason_that_must_go_first_is_named_first() -> None:
    """Starting a worker does not help a queue that is paused."""
    reason = why(JOB, around(queue=replace(QUEUE, is_paused=True), workers=[]))

    assert reason is not None
    assert "paused" in reason


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("crashed", "Worker mitte/1 died while it ran: too cold. It went back to its place; the crash is counted."),
        ("released", "before it had started"),
        ("stale", "under fence 1, which no longer stood"),
    ],
)
def test_a_moved_job_says_why_it_moved(kind: str, says: str) -> None:
    """Nobody should have to guess whether their code or their machine was at fault."""
    reason = moved(replace(FAILED, kind=kind))

    assert reason is not None
    assert says in reason


def test_of_a_lost_node_nobody_claims_that_the_job_ran() -> None:
    """Its running table may be gone with its machine: then all that it held count."""
    lost = replace(FAILED, kind="crashed", failure=Failure("NodeLost", "nobody saw how"))

    assert str(moved(lost)).startswith("Worker mitte/1 died while it held it: nobody saw how. It went back")


def test_a_job_that_was_given_back_is_not_told_as_one_that_had_not_started() -> None:
    """Its worker was recycled or drained while it ran: neither the job nor the machine was at fault."""
    ended = Failure("WorkerEnded", "worker mitte/1 was recycled: a job in it overran its time limit.")

    assert moved(replace(FAILED, kind="released", failure=ended)) == (
        "Worker mitte/1 ended while it held the job: worker mitte/1 was recycled: a job in it overran its time limit. "
        "It went back to its place, and nobody is blamed."
    )


@pytest.mark.parametrize("kind", ["failed", "reopened"])
def test_what_did_not_move_says_nothing(kind: str) -> None:
    """A failed attempt ended where it was; it was not taken away."""
    assert moved(replace(FAILED, kind=kind)) is None
