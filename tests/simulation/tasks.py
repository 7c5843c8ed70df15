"""What simulated handlers do: work, fail, snooze, block, overrun, and take their process down.

Each notes its start and its end in the history, as the handlers of real chaos do in their file.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from rota.model.retry import Fail, Retry, Snooze
from rota.model.task import TaskSpec
from rota.worker.current import current_job
from tests.checkers.history import Ended, Started
from tests.simulation.threads import sleep
from tests.simulation.world import SEGV, Process, World

QUEUES = ("mail", "ovens")
POLICY = Retry(attempts=4, base=timedelta(milliseconds=100), cap=timedelta(seconds=1))
TIMEOUT_MS = 300


@dataclass
class JobFacts:
    """What the simulator knows of a job.

    Attributes:
        kind: What its handler does.
        seconds: How long it takes.
        times: How often it fails, snoozes or crashes before it succeeds.
        crashes: How often it has taken its process down.
    """

    token: str
    kind: str
    queue: str
    key: str | None
    seconds: float
    times: int
    crashes: int = 0
    snoozes: int = 0


class Tasks:
    """The tasks of one history.

    Args:
        world: Where they run.

    Attributes:
        jobs: Everything that was handed in, by token.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self.jobs: dict[str, JobFacts] = {}
        self._handlers: dict[str, Callable[[JobFacts], Any]] = {
            "snooze": self._snooze,
            "block": self._block,
            "stubborn": self._stubborn,
            "overrun": self._overrun,
            "crash_once": self._crash,
            "crash_always": self._crash,
        }
        self._specs = {kind: self._spec(kind) for kind in world.plan.kinds}
        self._old = {name: spec for name, spec in self._specs.items() if name != "modern"}

    @property
    def names(self) -> list[str]:
        """All that new code knows."""
        return list(self._specs)

    def specs(self, *, is_old: bool) -> Mapping[str, TaskSpec]:
        """Return the tasks that an app knows; old code does not know all."""
        return self._old if is_old else self._specs

    def _spec(self, kind: str) -> TaskSpec:
        async def handler() -> Any:
            return await self._run()

        is_async = not kind.startswith("thread")
        timeout_ms = TIMEOUT_MS if kind in ("overrun", "stubborn", "thread_overrun") else None
        return TaskSpec(
            kind, "ovens", handler if is_async else self._run_plain, is_async, _decode, _encode, POLICY, timeout_ms
        )

    def _run_plain(self) -> None:
        """Run a ``def`` handler, in a thread."""
        world, process, job = self._world, self._world.loop.current, current_job()
        assert isinstance(process, Process)
        facts = self.jobs[job.token]
        world.saw(Started(at=world.now_ns, token=job.token, fence=job.fence, worker=process.seen))
        world.tell(process, "runs in a thread", token=job.token, fence=job.fence, kind=facts.kind, key=facts.key)
        seconds = facts.seconds * 3
        if facts.kind == "thread_overrun" and job.attempt <= facts.times:
            seconds = TIMEOUT_MS / 1e3 * 5
        sleep(process, seconds)
        if process.is_alive:
            world.saw(Ended(at=world.now_ns, token=job.token, fence=job.fence))
        if job.is_cancel_asked:
            world.counts["seen cancel in a thread"] += 1
            raise ValueError("cancelled")

    async def _run(self) -> Any:
        world, process, job = self._world, self._world.loop.current, current_job()
        facts = self.jobs[job.token]
        seen: str = process.seen  # type: ignore[attr-defined]
        world.saw(Started(at=world.now_ns, token=job.token, fence=job.fence, worker=seen))
        world.tell(process, "runs", token=job.token, fence=job.fence, kind=facts.kind, key=facts.key)
        try:
            handler = self._handlers.get(facts.kind)
            if handler is not None:
                return await handler(facts)
            await asyncio.sleep(facts.seconds)
            self._fail(facts, job.attempt)
            return None
        finally:
            if process.is_alive:
                world.saw(Ended(at=world.now_ns, token=job.token, fence=job.fence))

    def _fail(self, facts: JobFacts, attempt: int) -> None:
        if facts.kind == "fail_at_once":
            raise Fail("by plan")
        if facts.kind == "fail_for_good" or (facts.kind == "fail_then_succeed" and attempt <= facts.times):
            raise ValueError("by plan")

    async def _snooze(self, facts: JobFacts) -> Any:
        await asyncio.sleep(facts.seconds)
        if facts.snoozes < facts.times:
            facts.snoozes += 1
            return Snooze(facts.seconds * 5)
        return None

    async def _block(self, facts: JobFacts) -> None:
        self._world.counts["fault blocking handler"] += 1
        await self._world.block(self._world.loop.current, facts.seconds)  # type: ignore[arg-type]

    async def _stubborn(self, facts: JobFacts) -> None:
        """Ignore being cancelled, for a while."""
        try:
            await asyncio.sleep(TIMEOUT_MS / 1e3 + facts.seconds)
        except asyncio.CancelledError:
            self._world.counts["fault stubborn handler"] += 1
            await asyncio.sleep(facts.seconds)

    async def _overrun(self, facts: JobFacts) -> None:
        await asyncio.sleep(TIMEOUT_MS / 1e3 * (3 if current_job().attempt <= facts.times else 0.5))

    async def _crash(self, facts: JobFacts) -> None:
        await asyncio.sleep(facts.seconds)
        if facts.kind == "crash_always" or facts.crashes < facts.times:
            facts.crashes += 1
            self._world.counts["fault crashing handler"] += 1
            self._world.end(self._world.loop.current, signal=SEGV)  # type: ignore[arg-type]
            await self._world.loop.create_future()


def _decode(payload: bytes) -> tuple[tuple[Any, ...], Mapping[str, Any]]:
    return (), {}


def _encode(value: Any) -> bytes | None:
    return None if value is None else b"1"
