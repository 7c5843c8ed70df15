"""A short errand in a shop, on a disk that may fail in the middle of it: what was answered, and what must hold then."""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from random import Random
from typing import Any, Final, TypeVar

from rota.app.blocking import drive
from rota.errors import OutcomeUnknownError, StoreError
from rota.model.job import ClaimedJob, NewJob
from rota.model.outcome import Kind, Outcome
from rota.model.slot import hash16
from rota.runtime.entropy import SystemEntropy
from rota.store.port import NewNode, NewWorker
from rota.store.sqlite.store import SqliteStore
from rota.testing.clock import ManualClock
from tests.power.logging_vfs import Log
from tests.power.promises import Look, Promises, finished_look, live_look
from tests.power.workload import QUEUE, SLOTS, TASKS

T = TypeVar("T")
CALLS: Final = 11


class Errand:
    """A store that is open, with a worker at work.

    Args:
        path: The store's file.
        log: What happens below it.
        promises: What is promised already.

    Attributes:
        errors: What was raised, by the number of the call.
    """

    def __init__(self, path: str, log: Log, promises: Promises | None = None) -> None:
        clock = ManualClock()
        self.promises = promises or Promises()
        self.errors: dict[int, StoreError] = {}
        self.calls = 0
        self._log = log
        self._entropy, self._chance = SystemEntropy(clock), Random(1)
        self._waiting: list[bytes] = []
        self._held: list[ClaimedJob] = []
        self.store = SqliteStore.open(path, clock=clock, entropy=self._entropy).inline()
        try:
            self._begin()
        except BaseException:
            self.close()
            raise

    def _begin(self) -> None:
        queues, tasks = drive(self.store.intern([QUEUE], TASKS))
        self._queue_id, self._tasks = queues[QUEUE], sorted(tasks.values())
        node = drive(self.store.register_node(NewNode("mitte", "", "{}"))).id
        self._worker = drive(self.store.register_worker(NewWorker(node, "mitte/1", "", [QUEUE], TASKS))).id

    def run(self) -> None:
        """Make eleven calls; go on after an error, as programs do."""
        self.submit(1, key="anna")
        self.submit(5)
        self.claim()
        self.settle(3)
        self.submit(2, key="anna")
        self.submit(1)
        self.cancel()
        self.claim()
        self.submit(1)
        self.settle(2)
        self.submit(1)

    def close(self) -> None:
        """Close the store."""
        drive(self.store.close())

    def job(self, key: str | None = None, size: int = 700) -> NewJob:
        """Make a job."""
        token = self._entropy.token()
        return NewJob(token, QUEUE, "bake", b'"%s"' % (b"x" * size), hash16(key, token), key)

    def submit(self, count: int, *, key: str | None = None) -> None:
        """Submit new jobs in one call."""
        self.submit_these([self.job(key) for _ in range(count)])

    def submit_these(self, jobs: list[NewJob]) -> bool:
        """Submit these jobs; returns whether they were accepted."""
        reply = self.call({job.token: live_look(0) for job in jobs}, self.store.submit(jobs))
        if reply is not None:
            self._waiting += [job.token for job in jobs if job.key is None]
        return reply is not None

    def claim(self) -> None:
        """Claim what is waiting without a key."""
        looks = {token: live_look(1, is_held=True) for token in self._waiting}
        claim = self.call(
            looks, self.store.claim(self._worker, self._queue_id, SLOTS, 100, tasks=self._tasks, keyed_before=0)
        )
        if claim is not None:
            assert {job.token for job in claim.jobs} == looks.keys()
            self._held += claim.jobs
            self._waiting.clear()

    def settle(self, count: int) -> None:
        """Settle some of what is held, if anything is."""
        if not self._held:
            return
        outcomes = [Outcome(job.seq, job.token, job.fence, Kind.SUCCEEDED) for job in self._held[:count]]
        looks = {outcome.token: finished_look(0, outcome.fence) for outcome in outcomes}
        if self.call(looks, self.store.settle(self._worker, outcomes)) is not None:
            del self._held[:count]

    def cancel(self) -> None:
        """Cancel a job that waits."""
        if self._waiting:
            token = self._waiting[0]
            if self.call({token: finished_look(2, 0)}, self.store.cancel(token)) is not None:
                self._waiting.remove(token)

    def call(self, looks: Mapping[bytes, Look], work: Coroutine[Any, Any, T]) -> T | None:
        """Make a call and note its answer: done, not done, or nobody knows."""
        self.calls += 1
        step = self.promises.begin(self._log.now, looks)
        try:
            reply = drive(work)
        except OutcomeUnknownError as error:
            self.errors[self.calls] = error
        except StoreError as error:
            self.errors[self.calls] = error
            self.promises.withdraw(step)
        else:
            step.acked = self._log.now
            return reply
        return None
