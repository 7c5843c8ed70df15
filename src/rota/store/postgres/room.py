"""How many more jobs a queue takes: ``waiting_max``, without counting at every submit."""

from __future__ import annotations

from collections.abc import Sequence

from rota.errors import QueueFullError
from rota.model.job import NewJob
from rota.runtime.clock import Clock
from rota.store.postgres.server import Server

_SHARERS = 8
"""Processes that may submit at once without passing the limit together: each uses an eighth of the room that it found before
it counts again."""


class Room:
    """The room that was found at the last count of each queue, less what this process has used of it since.

    Args:
        waiting_max: How many jobs may wait in one queue.
    """

    def __init__(self, server: Server, clock: Clock | None, waiting_max: int) -> None:
        self._server = server
        self._clock = clock
        self._waiting_max = waiting_max
        self._left: dict[str, int] = {}

    def has_for(self, job: NewJob) -> bool:
        """Take a lone job's place without counting; return whether there was one."""
        left = self._left.get(job.queue, 0)
        if left < 1:
            return False
        self._left[job.queue] = left - 1
        return True

    async def take(self, jobs: Sequence[NewJob], queue_ids: dict[str, int]) -> None:
        """Take places for these jobs, counting where that is needed.

        Raises:
            QueueFullError: If ``waiting_max`` would be passed.
        """
        by_queue: dict[str, list[bytes]] = {}
        for job in jobs:
            by_queue.setdefault(job.queue, []).append(job.token)
        for queue, tokens in by_queue.items():
            left = self._left.pop(queue, 0)
            if left < len(tokens):
                left = await self._count(queue, queue_ids[queue], tokens)
            self._left[queue] = left - len(tokens)

    async def _count(self, queue: str, queue_id: int, tokens: list[bytes]) -> int:
        """Return how many jobs may be submitted until the next count, these included."""
        needed = len(tokens)
        waiting = await self._server.value("count_waiting", queue_id, self._waiting_max - needed, writes=False)
        room = self._waiting_max - waiting
        if room < needed:
            # Jobs that are there already take no room.
            now = None if self._clock is None else self._clock.now_us()
            new = needed - len(await self._server.call("job_states", now, tokens, writes=False))
            if room < new:
                raise QueueFullError(
                    f"queue {queue!r} holds {waiting:,} waiting jobs of at most {self._waiting_max:,}; {new:,} more were "
                    "refused and nothing was written. Start more workers, or raise `waiting_max`.",
                    queue=queue,
                    waiting=waiting,
                    waiting_max=self._waiting_max,
                )
        return int(max(room // _SHARERS, needed))
