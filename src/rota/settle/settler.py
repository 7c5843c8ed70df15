"""Hand outcomes to the store, in batches, behind the fence.

    hands ──add──▶ waiting ──batch──▶ store.settle ──▶ recorded | stale
                                          │
                        reply lost, store down: the same batch again

Whatever has come in while one settle was on its way goes out with the next: alone at low load, a thousand at a time at high
load, and never held back to wait for company. The same batch is sent until the store has answered for it, since settling
twice records nothing twice.

Invariants, each with the test that holds it:
    An outcome is kept until the store has answered for it.    tests/unit/settle/test_settler.py
    A refused outcome is told, counted, and not sent again.    tests/unit/settle/test_settler.py
    A claims row is dropped with the last of its jobs.         tests/unit/settle/test_settler.py
    No batch is larger than the store can take.                tests/unit/settle/test_settler.py
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Sequence

from rota.errors import OutcomeUnknownError, StoreBrokenError, StoreError
from rota.model.job import ClaimedJob
from rota.model.limits import SETTLE_BYTES_MAX, SETTLE_JOBS_MAX
from rota.model.outcome import Kind, Outcome
from rota.runtime.entropy import Entropy
from rota.runtime.patience import store_pause_s
from rota.store.port import Claims, Settled
from rota.telemetry.telemetry import Telemetry


class Holdings:
    """What a worker holds: each claimed job until the store has answered for its outcome.

    Only the event loop's thread may touch it.

    Attributes:
        jobs: The jobs as claimed, by token.
    """

    def __init__(self) -> None:
        self.jobs: dict[bytes, ClaimedJob] = {}
        self._open: Counter[int] = Counter()
        self._settled_lately: set[tuple[bytes, int]] | None = None

    def take(self, jobs: Sequence[ClaimedJob]) -> None:
        """Note jobs that a claim or an adoption brought."""
        self.jobs.update({job.token: job for job in jobs})
        self._open.update([job.claim_no for job in jobs])

    def finish(self, claim_numbers: Sequence[int]) -> list[int]:
        """Count jobs off their claims rows; return the rows that have none left."""
        done, left = [], self._open
        for number, count in Counter(claim_numbers).items():
            if left[number] > count:
                left[number] -= count
            elif left.pop(number, 0):
                done.append(number)
        return done

    def forget(self, outcomes: Sequence[Outcome]) -> None:
        """Drop jobs for whose outcomes the store has answered."""
        jobs = self.jobs
        for outcome in outcomes:
            job = jobs.get(outcome.token)
            if job is not None and job.fence == outcome.fence:
                del jobs[outcome.token]
        if self._settled_lately is not None:
            self._settled_lately.update((outcome.token, outcome.fence) for outcome in outcomes)

    def begin_look(self) -> None:
        """Begin to remember what is settled: a look at the store has begun that may still see it."""
        self._settled_lately = set()

    def unknown_of(self, seen: Sequence[ClaimedJob]) -> list[ClaimedJob]:
        """End the look: return the jobs that the store says are ours and that we do not know.

        All of a claim or none: one left for the next look would never be found if its claims row were dropped with the others.
        """
        lately, self._settled_lately = self._settled_lately or set(), None
        return [job for job in seen if (job.token, job.fence) not in lately and not self._knows(job)]

    def _knows(self, job: ClaimedJob) -> bool:
        mine = self.jobs.get(job.token)
        return mine is not None and mine.fence == job.fence


def given_back(job: ClaimedJob) -> Outcome:
    """Return the outcome of a job that was not started."""
    return Outcome(job.seq, job.token, job.fence, Kind.GIVEN_BACK)


class Settler:
    """Settles one worker's outcomes.

    Args:
        store: Where they go.
        worker: The worker's incarnation.
        name: Its ring name, for what is told.
        holdings: What the worker holds.
        telemetry: Who is told.
        entropy: Jitter between tries.
        settled: Called with the store's answer and the batch, on the loop, after each settle; its jobs are still in
            ``holdings`` then.
    """

    def __init__(
        self,
        store: Claims,
        worker: int,
        name: str,
        holdings: Holdings,
        *,
        telemetry: Telemetry,
        entropy: Entropy,
        settled: Callable[[Settled, Sequence[Outcome]], None],
    ) -> None:
        self._store = store
        self._worker = worker
        self._name = name
        self._holdings = holdings
        self._telemetry = telemetry
        self._entropy = entropy
        self._settled = settled
        self._waiting: deque[tuple[Outcome, int]] = deque()
        self._done_claims: list[int] = []
        self._in_flight = 0
        self._answered = 0
        self._given_back = 0
        self._news = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()
        self._loop = asyncio.get_running_loop()

    @property
    def backlog(self) -> int:
        """Outcomes that the store has not answered for."""
        return len(self._waiting) + self._in_flight

    @property
    def ended(self) -> int:
        """Runs whose outcomes have been handed over so far, answered for or not."""
        return self._answered + self.backlog - self._given_back

    def give_back(self, jobs: Sequence[ClaimedJob]) -> None:
        """Put jobs that were not started back to their places, on the loop's thread."""
        self._given_back += len(jobs)
        for job in jobs:
            self.add(given_back(job), job.claim_no)

    def add(self, outcome: Outcome, claim_no: int) -> None:
        """Take an outcome, on the loop's thread."""
        self._waiting.append((outcome, claim_no))
        self._news.set()

    def notice(self) -> None:
        """Look again: outcomes were put in by ``add_quietly``."""
        self._news.set()

    def add_quietly(self, outcome: Outcome, claim_no: int) -> None:
        """Take an outcome, on any thread; somebody calls ``notice`` on the loop afterwards."""
        self._waiting.append((outcome, claim_no))

    def answered_elsewhere(self, answer: Settled, taken: Sequence[tuple[Outcome, int]]) -> None:
        """Take the store's answer to outcomes that were settled without this settler, on the loop's thread.

        Claims rows that are done with it are dropped with the next settle; until then they cost nothing but their place.
        """
        self._done_claims += self._holdings.finish([number for _, number in taken])
        self._take_answer(answer, [outcome for outcome, _ in taken])

    async def run(self) -> None:
        """Settle what comes in, until cancelled.

        Raises:
            StoreBrokenError: The store reported a disk error; it is not retried past.
        """
        while True:
            await self._news.wait()
            self._news.clear()
            while self._waiting:
                self._empty.clear()
                await self._settle_next()
            self._empty.set()

    async def drained(self) -> None:
        """Wait until the store has answered for everything that was added before."""
        while self.backlog:
            self._news.set()
            self._empty.clear()
            await self._empty.wait()

    async def _settle_next(self) -> None:
        taken = self._take_waiting()
        batch = [outcome for outcome, _ in taken]
        done = self._done_claims + self._holdings.finish([number for _, number in taken])
        self._done_claims = []
        self._in_flight = len(batch)
        answer = await self._until_answered(batch, done)
        self._in_flight = 0
        self._answered += len(batch)
        self._take_answer(answer, batch)

    def _take_waiting(self) -> list[tuple[Outcome, int]]:
        """Take the next batch: what waits, as far as one call can carry it; at least one."""
        waiting = self._waiting
        taken = [waiting.popleft() for _ in range(min(len(waiting), SETTLE_JOBS_MAX))]
        sizes = [0 if outcome.result is None else len(outcome.result) for outcome, _ in taken]
        room = SETTLE_BYTES_MAX
        if sum(sizes) > room:
            fitting = 0
            for size in sizes:
                room -= size
                if room < 0 and fitting:
                    break
                fitting += 1
            waiting.extendleft(reversed(taken[fitting:]))
            del taken[fitting:]
        return taken

    def _take_answer(self, answer: Settled, batch: list[Outcome]) -> None:
        self._count(answer, batch)
        self._settled(answer, batch)
        self._holdings.forget(batch)

    async def _until_answered(self, batch: list[Outcome], done: list[int]) -> Settled:
        tries = 0
        while True:
            try:
                return await self._store.settle(self._worker, batch, done)
            except StoreBrokenError:
                raise
            except OutcomeUnknownError as error:
                self._telemetry.emit("settle.unknown", worker=self._name, outcomes=len(batch), error=error)
                wait_s = 0.0 if tries == 0 else store_pause_s(tries, self._entropy)
            except StoreError as error:
                wait_s = store_pause_s(tries + 1, self._entropy)
                self._telemetry.emit(
                    "settle.failed", worker=self._name, outcomes=len(batch), error=error, wait_s=round(wait_s, 3)
                )
            tries += 1
            await asyncio.sleep(wait_s)

    def _count(self, answer: Settled, batch: list[Outcome]) -> None:
        telemetry = self._telemetry
        telemetry.count("settles.calls")
        telemetry.count("settles.outcomes", len(batch))
        telemetry.count("settles.stale", len(answer.stale))
        kinds = [outcome.kind for outcome in batch]
        succeeded = kinds.count(Kind.SUCCEEDED)
        telemetry.count("jobs.succeeded", succeeded)
        if succeeded < len(batch):
            telemetry.count("jobs.failed", kinds.count(Kind.FAILED))
            telemetry.count("jobs.cancelled", kinds.count(Kind.CANCELLED))
            telemetry.count("jobs.expired", kinds.count(Kind.EXPIRED))
            telemetry.count("jobs.retried", kinds.count(Kind.RETRY))
            telemetry.count("jobs.snoozed", kinds.count(Kind.SNOOZE))
            telemetry.count("claims.given_back", kinds.count(Kind.GIVEN_BACK))
        for token, fence in answer.stale:
            telemetry.emit("job.stale", token=token, fence=fence, worker=self._name)
