"""A worker's surroundings for its tests: a store in memory, tasks, and what they were seen to do."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import msgspec

from rota.app.blocking import drive
from rota.model.job import NewJob
from rota.model.outcome import Outcome
from rota.model.retry import Retry
from rota.model.slot import hash16
from rota.model.task import TaskSpec
from rota.runtime.clock import SystemClock
from rota.runtime.entropy import SystemEntropy
from rota.store.port import NewNode, NewWorker, Settled, Store
from rota.store.sqlite.store import SqliteStore
from rota.telemetry.telemetry import Telemetry
from rota.worker.order import WorkerOrder
from rota.worker.running import RunningTable
from rota.worker.worker import Worker

NO_WAIT = Retry(attempts=3, base=timedelta(microseconds=1), cap=timedelta(microseconds=1))


def decode(payload: bytes) -> tuple[tuple[Any, ...], Mapping[str, Any]]:
    return (), msgspec.json.decode(payload)


def encode(value: Any) -> bytes | None:
    return None if value is None else msgspec.json.encode(value)


def spec(function: Callable[..., Any], *, retry: Retry = NO_WAIT, timeout_ms: int | None = None) -> TaskSpec:
    """Return the task of a function, under its own name, in the queue `ovens`."""
    is_async = inspect.iscoroutinefunction(function)
    return TaskSpec(function.__name__, "ovens", function, is_async, decode, encode, retry, timeout_ms)


@dataclass
class Kitchen:
    """One store and as many workers as a test wants."""

    store: Store
    specs: Mapping[str, TaskSpec]
    clock: SystemClock = field(default_factory=SystemClock)
    telemetry: Telemetry = field(default_factory=Telemetry)
    entropy: SystemEntropy = field(init=False)
    node_id: int = 0

    def __post_init__(self) -> None:
        self.entropy = SystemEntropy(self.clock)

    @classmethod
    def of(cls, *functions: Callable[..., Any] | TaskSpec, store: Store | None = None) -> Kitchen:
        """Return a kitchen that knows these tasks."""
        specs = [each if isinstance(each, TaskSpec) else spec(each) for each in functions]
        clock = SystemClock()
        opened = store or SqliteStore.open(":memory:", clock=clock, entropy=SystemEntropy(clock))
        return cls(opened, {each.name: each for each in specs})

    async def submit(
        self, task: Callable[..., Any], count: int = 1, *, key: str | None = None, **arguments: Any
    ) -> list[bytes]:
        """Put jobs in; return their tokens."""
        jobs = []
        for _ in range(count):
            token = self.entropy.token()
            payload = msgspec.json.encode(arguments)
            jobs.append(NewJob(token, "ovens", task.__name__, payload, hash16(key, token), key, is_fresh=True))
        await self.store.submit(jobs)
        return [job.token for job in jobs]

    async def worker(
        self,
        *,
        name: str = "mitte/1",
        concurrency: int = 4,
        running: RunningTable | None = None,
        store: Store | None = None,
        guarded: bool = False,
        **order: Any,
    ) -> Worker:
        """Return a worker that has not been started."""
        if not self.node_id:
            self.node_id = (await self.store.register_node(NewNode("mitte", "", "{}"))).id
        give_back = self._give_back if guarded else None
        told = WorkerOrder(self.node_id, name, f"proof of {name}", "", concurrency=concurrency, **order)
        return Worker(
            store or self.store,
            self.specs,
            told,
            running=running,
            clock=self.clock,
            entropy=self.entropy,
            telemetry=self.telemetry,
            give_back=give_back,
        )

    async def neighbour(self) -> None:
        """Register a worker that has nearly all slots beside one of weight 1, knows all tasks, and stands still."""
        self.node_id = (await self.store.register_node(NewNode("mitte", "", "{}"))).id
        await self.store.register_worker(
            NewWorker(self.node_id, "still", "p", ["ovens"], list(self.specs), weight=1_000)
        )

    def _give_back(self, worker: int, outcomes: Sequence[Outcome]) -> Settled:
        assert isinstance(self.store, SqliteStore)
        return drive(self.store.inline().settle(worker, outcomes))

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Wait until something is true, turning the loop."""
        while not is_so():
            await asyncio.sleep(0.001)

    async def until_settled(self, tokens: list[bytes]) -> None:
        """Wait until these jobs are settled."""
        while not all(state.is_final for state in (await self.store.states(tokens)).values()):
            await asyncio.sleep(0.001)

    async def work_until(self, is_enough: Callable[[], Awaitable[bool]], worker: Worker) -> int:
        """Run a worker until something is true, then drain it; return its exit code."""
        working = asyncio.create_task(worker.run())
        while not working.done() and not await is_enough():
            await asyncio.sleep(0.002)
        worker.drain()
        return await working

    async def work_until_settled(self, tokens: list[bytes], worker: Worker) -> int:
        """Run a worker until these jobs are settled, then drain it."""

        async def are_settled() -> bool:
            states = await self.store.states(tokens)
            return all(states[token].is_final for token in tokens)

        return await self.work_until(are_settled, worker)
