"""One attempt: a claimed job on its way through a handler."""

from __future__ import annotations

import asyncio

from msgspec import Struct

from rota.model.job import ClaimedJob
from rota.model.retry import Retry
from rota.model.task import TaskSpec


class Attempt(Struct, eq=False):
    """What is known of a job while its handler runs.

    Attributes:
        job: The job as claimed.
        spec: Its task.
        queue: Name of its queue.
        policy: The retry policy in force: the submission's, else the task's.
        started_us: When the handler was started.
        timeout_ms: Its time limit; ``None`` for none.
        is_cancel_asked: Somebody asked to cancel it.
        is_overdue: It has overrun its time limit.
        is_lost: It did not come back within the grace after that either: its process is being replaced.
        is_given_back: The worker is ending and has cancelled it; it goes back to its place, uncounted.
        task: The asyncio task that runs it, for ``async def`` handlers.
    """

    job: ClaimedJob
    spec: TaskSpec
    queue: str
    policy: Retry
    started_us: int
    timeout_ms: int | None
    is_cancel_asked: bool = False
    is_overdue: bool = False
    is_lost: bool = False
    is_given_back: bool = False
    task: asyncio.Task[None] | None = None

    @property
    def deadline_us(self) -> int | None:
        """When its time limit ends."""
        return None if self.timeout_ms is None else self.started_us + self.timeout_ms * 1_000
