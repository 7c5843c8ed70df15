"""Whether somebody is there for what waits, looked at through a store that keeps no million of rows but computes them."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from typing import Any

import pytest

from rota.cli.waiting import FEW, LOOKS_MAX, look_at_waiting
from rota.model.job import JobRow
from rota.model.state import State
from rota.model.token import TokenBytes
from rota.store.port import JobFilter, QueueRow, WorkerRow

BORN_MS = 1_767_225_600_000
WORKER = WorkerRow(1, 1, "mitte/1", "", ["ovens", "doors"], ["bake"], 1, False, False, 1, 0, 0)


class Full:
    """A store with so many live jobs, ``a_ms`` of them a millisecond; task and state follow from how many are older."""

    def __init__(
        self,
        jobs: int,
        task_of: Callable[[int], str],
        state_of: Callable[[int], State] = lambda _: State.WAITING,
        *,
        is_paused: bool = False,
        a_ms: int = 1,
    ) -> None:
        self.total = jobs
        self.looks = self.rows = 0
        self._a_ms = a_ms
        self._task_of = task_of
        self._state_of = state_of
        self._queues = [QueueRow(1, "ovens", is_paused, jobs, 0, 0, 10**7)]

    async def queues(self) -> list[QueueRow]:
        return self._queues

    async def jobs(self, which: JobFilter) -> list[JobRow]:
        self.looks += 1
        end = self.total if which.before is None else self._older_than(which.before)
        found: list[JobRow] = []
        for at in reversed(range(end)):
            if which.states is None or self._state_of(at) in which.states:
                found.append(self._row(at))
            if len(found) == which.limit:
                break
        self.rows += len(found)
        return found

    def _older_than(self, token: bytes) -> int:
        return bisect_left(range(self.total), token, key=self._token)

    def _token(self, at: int) -> TokenBytes:
        ms, place = divmod(at, self._a_ms)
        return TokenBytes((BORN_MS + ms).to_bytes(6, "big") + b"\x70\x01\x80" + (place << 40).to_bytes(7, "big"))

    def _row(self, at: int) -> JobRow:
        return JobRow(self._token(at), self._state_of(at), "ovens", self._task_of(at), None, 1, 0, 0, 0, 0, b"", 1)


async def tasks_of(store: Any) -> list[tuple[str, str]]:
    """Return what is said of tasks."""
    return [(check.level, check.says) for check in await look_at_waiting(store, [WORKER]) if check.name == "tasks"]


async def test_a_task_that_no_worker_knows_is_named_with_how_many_wait_for_it() -> None:
    """A renamed task, or a deploy that got stuck: its jobs wait for ever, and everything else is well."""
    store = Full(FEW - 1, lambda at: "roast" if at % 100 == 7 else "bake")

    assert await tasks_of(store) == [
        ("warning", "5 jobs of task 'roast' waiting in queue 'ovens', of which no worker knows that task")
    ]
    assert store.looks == 1


@pytest.mark.parametrize("total", [FEW, FEW + 1, 20_000, 1_000_000])
@pytest.mark.parametrize("a_ms", [1, 10_000])
async def test_the_oldest_among_a_million_are_found_by_a_few_looks(total: int, a_ms: int) -> None:
    """What nobody takes stays until it is the oldest; the look must not take longer the more there is."""
    store = Full(total, lambda at: "roast" if at < 3 else "bake", a_ms=a_ms)

    (said,) = await tasks_of(store)

    assert said == (
        "warning",
        "at least 3 jobs of task 'roast' waiting in queue 'ovens', of which no worker knows that task",
    )
    assert store.looks <= LOOKS_MAX + 1
    assert store.rows <= 6 * FEW


async def test_what_is_wrong_with_all_is_seen_at_any_age() -> None:
    """The last hour's jobs are of a new task, and its code runs nowhere yet."""
    store = Full(1_000_000, lambda at: "roast" if at > 999_000 else "bake")

    (said,) = await tasks_of(store)

    assert said[0] == "warning"


async def test_scheduled_and_running_jobs_wait_for_no_worker() -> None:
    """What is not due may be for code of tomorrow."""
    store = Full(
        20_000, lambda at: "bake" if at % 2 else "roast", lambda at: State.WAITING if at % 2 else State.SCHEDULED
    )

    (said,) = await tasks_of(store)

    assert said[0] == "ok"


async def test_where_all_are_known_it_says_how_far_it_has_looked() -> None:
    """Of a million, not each was looked at."""
    assert await tasks_of(Full(1, lambda _: "bake")) == [
        ("ok", "every task of which jobs wait is known to a worker of its queue")
    ]
    ((level, says),) = await tasks_of(Full(1_000_000, lambda _: "bake"))
    assert level == "ok"
    assert says.endswith("waiting jobs looked at, every task of which jobs wait is known to a worker of its queue")


async def test_a_paused_queue_waits_for_its_pause_to_end() -> None:
    """Nothing of it could start even if its task were known."""
    assert await tasks_of(Full(3, lambda _: "roast", is_paused=True)) == []


async def test_many_unknown_tasks_are_not_all_named() -> None:
    """They have one reason: the wrong code runs."""
    found = await tasks_of(Full(100, lambda at: f"task {at % 20}"))

    assert len(found) == 6
    assert found[-1] == ("warning", "15 other tasks of waiting jobs that no worker knows")
