"""The submitter: batches at a steady rate, each sent again under the same tokens until it is accepted."""

from __future__ import annotations

import asyncio
import time
from random import Random

import msgspec

from rota.errors import OutcomeUnknownError, StoreError
from rota.model.job import NewJob
from rota.model.slot import hash16
from rota.model.token import token_text
from rota.runtime.clock import SystemClock
from rota.runtime.entropy import SystemEntropy
from tests.chaos.app import now_ns
from tests.chaos.nodes import Nodes
from tests.checkers.history import Submitted, Submitting, SubmitUnknown

BATCH_JOBS = 25


class Load:
    """Submits for one run.

    Args:
        nodes: Whose store.
        keys: How many keys there are.
        job_s: How long a job takes.
        rate: Jobs a second.
        seed: Draws the keys.

    Attributes:
        jobs: How many have been accepted.
        refused: How often a batch was refused and sent again.
    """

    def __init__(self, nodes: Nodes, *, keys: int, job_s: float, rate: float, seed: int) -> None:
        self.jobs = 0
        self.refused = 0
        self._nodes = nodes
        self._keys = keys
        self._job_s = job_s
        self._rate = rate
        self._chance = Random(seed)
        self._entropy = SystemEntropy(SystemClock())

    async def run(self, jobs_max: int, faults_are_over: asyncio.Event) -> None:
        """Submit until there are so many; at least until the faults are over if ``jobs_max`` is 0."""
        start = time.monotonic()
        while self.jobs < jobs_max or (jobs_max == 0 and not faults_are_over.is_set()):
            size = min(BATCH_JOBS, jobs_max - self.jobs) if jobs_max else BATCH_JOBS
            await self._submit(self._batch(size))
            self.jobs += size
            await asyncio.sleep(max(0.0, start + self.jobs / self._rate - time.monotonic()))

    def _batch(self, size: int) -> list[NewJob]:
        batch = []
        for number in range(self.jobs, self.jobs + size):
            key, token = f"key {self._chance.randrange(self._keys)}", self._entropy.token()
            payload = msgspec.json.encode({"key": key, "number": number, "seconds": self._job_s})
            batch.append(NewJob(token, "default", "work", payload, hash16(key, token), key))
        return batch

    async def _submit(self, batch: list[NewJob]) -> None:
        seen, name = self._nodes.seen, str(self.jobs)
        for index, job in enumerate(batch):
            token = token_text(job.token)
            seen.saw(Submitting(at=now_ns(), token=token, queue="default", key=job.key, batch=name, index=index))
        while True:
            try:
                await self._nodes.store.submit(batch)
                break
            except OutcomeUnknownError:
                for job in batch:
                    seen.saw(SubmitUnknown(at=now_ns(), token=token_text(job.token)))
            except StoreError:
                pass
            self.refused += 1
            await asyncio.sleep(0.1)
        for job in batch:
            seen.saw(Submitted(at=now_ns(), token=token_text(job.token)))
