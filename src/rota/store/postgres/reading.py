"""Looking things up. Nothing here writes."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from rota.model.job import HistoryEntry, JobRow
from rota.model.state import State
from rota.store.port import AloneRow, JobFilter, QueueRow
from rota.store.postgres.subject import Subject, read_failure


class PostgresReading(Subject):
    """``rota.store.port.Reading`` on PostgreSQL."""

    async def states(self, tokens: Sequence[bytes]) -> Mapping[bytes, State]:
        """Return the state of each token that is known."""
        records = await self._server.call("job_states", self._now(), tokens, writes=False)
        return {token: State(state) for token, state in records}

    async def find(self, token: bytes) -> JobRow | None:
        """Return what is known of one job, live or finished."""
        records = await self._server.call("find_job", self._now(), token, writes=False)
        return _job_row(records[0]) if records else None

    async def history(self, token: bytes) -> Sequence[HistoryEntry]:
        """Return what happened to it, oldest first."""
        records = await self._server.call("job_history", token, writes=False)
        return [
            HistoryEntry(at, kind, fence, worker, read_failure(failure), started_at)
            for at, kind, fence, worker, failure, started_at in records
        ]

    async def head_of(self, queue: str, key: str) -> JobRow | None:
        """Return the job whose turn it is in this key, if there is one."""
        token = await self._server.value("head_of_key", queue, key, writes=False)
        return None if token is None else await self.find(token)

    async def jobs(self, which: JobFilter) -> Sequence[JobRow]:
        """Return one page of jobs, newest first, without payloads and results."""
        records = await self._server.call(
            "list_jobs",
            self._now(),
            None if which.states is None else [state.value for state in which.states],
            which.task,
            which.queue,
            which.key,
            which.before,
            which.limit,
            writes=False,
        )
        return [_job_row(record) for record in records]

    async def queues(self) -> Sequence[QueueRow]:
        """Return every queue, by name, with its counts."""
        records = await self._server.call("list_queues", self._now(), writes=False)
        return [QueueRow(**record, waiting_max=self._waiting_max) for record in records]

    async def finished_counts(self) -> Mapping[State, int]:
        """Return how many finished jobs are kept, by state."""
        return {State(state): count for state, count in await self._server.call("count_finished", writes=False)}

    async def alone(
        self, queues: Collection[str] | None = None, tasks: Collection[str] | None = None
    ) -> Sequence[AloneRow]:
        """Return up to 100 suspects that wait to run alone, oldest first; see the port."""
        asked = [None if names is None else list(names) for names in (queues, tasks)]
        return [AloneRow(*record) for record in await self._server.call("list_alone", *asked, writes=False)]

    async def ready_elsewhere(
        self, queue_id: int, slots: Collection[int], *, keyed_before: int, limit: int = 64
    ) -> Sequence[int]:
        """Return up to ``limit`` slots, outside of ``slots``, that have jobs worth stealing; see the port."""
        records = await self._server.call(
            "ready_elsewhere", self._now(), queue_id, list(slots), keyed_before, limit, writes=False
        )
        return [record[0] for record in records]


def _job_row(record: Any) -> JobRow:
    values = list(record)
    values[1] = State(values[1])
    values[-1] = read_failure(values[-1])
    return JobRow(*values)
