"""What the engine's parts share: the server, the time, the numbers of queues and tasks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from rota.model.job import NewJob
from rota.model.outcome import Failure
from rota.runtime.clock import Clock
from rota.store.port import Woken
from rota.store.postgres.server import Server

_failure_encoder = msgspec.json.Encoder()
_failure_decoder = msgspec.json.Decoder(Failure)


class Names:
    """The numbers of queues and tasks: given once by the store and never changed, so that they can be kept."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.queues: dict[str, int] = {}
        self.tasks: dict[str, int] = {}

    def know(self, jobs: Iterable[NewJob]) -> bool:
        """Whether the numbers of all these jobs' queues and tasks are known."""
        queues, tasks = self.queues, self.tasks
        return all(job.queue in queues and job.task in tasks for job in jobs)

    async def learn(self, queues: Iterable[str], tasks: Iterable[str]) -> None:
        """Look up, or have made, those that are not known yet."""
        new_queues = sorted(set(queues) - self.queues.keys())
        new_tasks = sorted(set(tasks) - self.tasks.keys())
        if not new_queues and not new_tasks:
            return
        for is_queue, name, number in await self._server.call("intern_names", new_queues, new_tasks):
            (self.queues if is_queue else self.tasks)[name] = number


class Subject:
    """Base of the engine's parts.

    Args:
        server: The road to the server.
        names: Shared by all parts of a store.
        clock: Gives every statement its time; ``None`` for the server's own.
        waiting_max: How many jobs may wait in one queue before submit refuses more.
    """

    def __init__(self, server: Server, names: Names, clock: Clock | None, waiting_max: int) -> None:
        self._server = server
        self._names = names
        self._clock = clock
        self._waiting_max = waiting_max

    def _now(self) -> int | None:
        return None if self._clock is None else self._clock.now_us()


def woken_of(record: Any) -> Sequence[Woken]:
    """Return what a function said in its columns ``woken_queues``, ``woken_slots`` and ``woken_places``."""
    slots = record["woken_slots"]
    if not slots:
        return []
    return [Woken(*each) for each in zip(record["woken_queues"], slots, record["woken_places"], strict=True)]


def written_failure(failure: Failure | None) -> bytes | None:
    """Return a failure as it is stored: JSON. Halves of characters, which tracebacks may hold, become question marks."""
    if failure is None:
        return None
    try:
        return _failure_encoder.encode(failure)
    except UnicodeEncodeError:
        parts = (failure.type, failure.message, failure.traceback)
        return _failure_encoder.encode(Failure(*(part.encode("utf-8", "replace").decode() for part in parts)))


def read_failure(data: bytes | None) -> Failure | None:
    """Return a failure that was stored."""
    return None if data is None else _failure_decoder.decode(data)


def numbers_of(names: Sequence[str], numbers: Mapping[str, int]) -> dict[str, int]:
    """Return these names with their numbers."""
    return {name: numbers[name] for name in names}
