"""One attempt: a claimed job on its way through a handler."""

from __future__ import annotations

import asyncio

from rota.model.job import ClaimedJob
from rota.model.retry import Retry
from rota.model.task import TaskSpec


class Attempt:
    """What is known of a job while its handler runs.

    Attributes:
        job: The job as claimed.
        spec: Its task.
        queue: Name of its queue.
        policy: The retry policy in force: the submission's, else the task's.
        started_us: When the handler was started.
        timeout_ms: Its time limit; ``None`` for none.
        deadline_us: When that ends.
        is_cancel_asked: Somebody asked to cancel it.
        is_overdue: It has overrun its time limit.
        is_given_back: The worker is ending and has cancelled it; it goes back to its place, uncounted.
        task: The asyncio task that runs it, for ``async def`` handlers.
    """

    __slots__ = (
        "deadline_us",
        "is_cancel_asked",
        "is_given_back",
        "is_overdue",
        "job",
        "policy",
        "queue",
        "spec",
        "started_us",
        "task",
        "timeout_ms",
    )

    def __init__(
        self, job: ClaimedJob, spec: TaskSpec, queue: str, policy: Retry, started_us: int, timeout_ms: int | None
    ) -> None:
        self.job = job
        self.spec = spec
        self.queue = queue
        self.policy = policy
        self.started_us = started_us
        self.timeout_ms = timeout_ms
        self.deadline_us = None if timeout_ms is None else started_us + timeout_ms * 1_000
        self.is_cancel_asked = False
        self.is_overdue = False
        self.is_given_back = False
        self.task: asyncio.Task[None] | None = None
