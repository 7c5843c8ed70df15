"""What happened to the jobs of one example, told as the history that the checkers judge."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from rota.model.job import ClaimedJob, JobRow, NewJob
from rota.model.outcome import Outcome
from rota.model.state import State
from tests.checkers.conservation import conservation
from tests.checkers.history import (
    AnyEvent,
    Broken,
    Cancelled,
    Counted,
    Ended,
    Found,
    Killed,
    Reopened,
    Settled,
    Started,
    Submitted,
    Submitting,
)
from tests.checkers.key_order import key_order
from tests.checkers.no_job_lost import no_job_lost
from tests.checkers.one_runner import one_runner
from tests.checkers.settled_once import settled_once


class Story:
    """Events in the order in which they happened; each has a moment of its own."""

    def __init__(self) -> None:
        self._events: list[AnyEvent] = []

    def submitting(self, jobs: Sequence[NewJob]) -> None:
        """A batch is about to be handed in."""
        at = batch = self._tick()
        for index, job in enumerate(jobs):
            self._events.append(
                Submitting(
                    at=at,
                    token=job.token.hex(),
                    queue=job.queue,
                    key=job.key,
                    batch=str(batch),
                    index=index,
                    is_delayed=job.due_at is not None,
                )
            )

    def submitted(self, job: NewJob) -> None:
        """A job is accepted."""
        self._events.append(Submitted(at=self._tick(), token=job.token.hex()))

    def started(self, job: ClaimedJob, worker: int) -> None:
        """A worker has it."""
        self._events.append(Started(at=self._tick(), token=job.token.hex(), fence=job.fence, worker=str(worker)))

    def ended(self, outcome: Outcome) -> None:
        """The run is over."""
        self._events.append(Ended(at=self._tick(), token=outcome.token.hex(), fence=outcome.fence))

    def settled(self, outcome: Outcome) -> None:
        """The store has recorded its outcome, if it is a last one."""
        if outcome.kind.is_final:
            token, state = outcome.token.hex(), outcome.kind.name.lower()
            self._events.append(Settled(at=self._tick(), token=token, fence=outcome.fence, state=state))

    def killed(self, worker: int) -> None:
        """A worker is dead."""
        self._events.append(Killed(at=self._tick(), worker=str(worker)))

    def cancelled(self, token: bytes, found: State) -> None:
        """Somebody took it back."""
        self._events.append(Cancelled(at=self._tick(), token=token.hex(), state=found))

    def reopened(self, token: bytes) -> None:
        """Somebody put it back."""
        self._events.append(Reopened(at=self._tick(), token=token.hex()))

    def judge(self, rows: Sequence[JobRow], *, live: int, finished: int) -> list[Broken]:
        """Return every truth that does not hold, given what is in the store and its own counts.

        Jobs that have been pruned are left out: the store can say nothing of them any more.
        """
        kept = {row.token.hex() for row in rows}
        events = [event for event in self._events if _speaks_of(event, kept)]
        at = self._tick()
        events += [Found(at=at, token=row.token.hex(), state=row.state) for row in rows]
        events.append(Counted(at=at, live=live, finished=finished))
        judges = (settled_once, one_runner, key_order, conservation)
        return no_job_lost(events, all_done=False) + [broken for judge in judges for broken in judge(events)]

    def _tick(self) -> int:
        return len(self._events) + 1


def _speaks_of(event: AnyEvent, kept: Collection[str]) -> bool:
    token = getattr(event, "token", None)
    return token is None or token in kept
