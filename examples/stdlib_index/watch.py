"""Looks at the store, as `rota workers` and `rota ring` do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rota.app.config import load_config
from rota.app.engine import open_store
from rota.model.state import State
from rota.model.token import token_from_text, token_text
from rota.ring.member import Member
from rota.ring.ring import Ring
from rota.store.port import JobFilter, Store


@dataclass(frozen=True)
class View:
    """One look: who is there, who has which slots, and how far it is.

    Attributes:
        epoch: The ring's epoch.
        pids: Process of each worker, by name.
        ring: Who is preferred for which slot.
        unfinished: Jobs waiting, scheduled or running.
    """

    epoch: int
    pids: Mapping[str, int]
    ring: Ring
    unfinished: int


class Watch:
    """A reader of one store. Use ``await Watch.open(url)``, and close it."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @classmethod
    async def open(cls, url: str) -> Watch:
        """Open the store for looking."""
        return cls(await open_store(url, config=load_config({})))

    async def close(self) -> None:
        """Close the store."""
        await self._store.close()

    async def look(self) -> View:
        """Return what is there now."""
        seen = await self._store.membership()
        queues = await self._store.queues()
        workers = [worker for worker in seen.workers if not worker.is_alone and not worker.is_draining]
        return View(
            epoch=seen.epoch,
            pids={worker.name: worker.pid for worker in workers},
            ring=Ring.of(Member(worker.name, worker.weight) for worker in workers),
            unfinished=sum(queue.waiting + queue.scheduled + queue.running for queue in queues),
        )

    async def held(self) -> dict[str, str]:
        """Return the worker's name of each job that is held, by token."""
        rows = await self._store.jobs(JobFilter(states={State.RUNNING}, limit=1_000))
        return {token_text(row.token): row.holder for row in rows if row.holder is not None}

    async def taken_from_the_dead(self, tokens: list[str]) -> list[str]:
        """Return those of these jobs whose history says that they were taken from a dead worker."""
        taken = []
        for token in tokens:
            history = await self._store.history(token_from_text(token))
            if any(entry.kind in {"crashed", "released"} for entry in history):
                taken.append(token)
        return taken

    async def recorded_fence(self, token: str) -> int | None:
        """Return the fence under which this job's success was recorded; ``None`` if it was not."""
        row = await self._store.find(token_from_text(token))
        return row.fence if row is not None and row.state is State.SUCCEEDED else None
