"""The numbers of ``rota run``'s live line."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rota.model.state import State

if TYPE_CHECKING:
    from rota.store.port import Store

WINDOW_S = 3.0
"""The rate is a mean over this long: steady enough to be read, quick enough to be believed."""


@dataclass(frozen=True, slots=True)
class Counts:
    """The store at one moment."""

    finished: int
    failed: int
    waiting: int
    scheduled: int
    running: int
    workers: int
    nodes: int
    paused: int

    @property
    def unfinished(self) -> int:
        """Jobs that are not settled, wherever they are."""
        return self.waiting + self.scheduled + self.running


@dataclass(slots=True)
class Tally:
    """What was done since it began, and how fast.

    Attributes:
        now: The newest counts; ``None`` before the first.
        done: Jobs finished since the first counts. Pruning lowers the store's number, and is not taken for undoing.
        failed: Those of them that failed.
        rate: Jobs a second.
    """

    now: Counts | None = None
    done: int = 0
    failed: int = 0
    rate: float = 0.0
    _seen: deque[tuple[float, int]] = field(default_factory=deque)

    def add(self, at_s: float, counts: Counts) -> None:
        """Take in the counts of an instant, in seconds that only go forward."""
        if self.now is not None:
            self.done += max(0, counts.finished - self.now.finished)
            self.failed += max(0, counts.failed - self.now.failed)
        self.now = counts
        self._seen.append((at_s, self.done))
        while len(self._seen) > 2 and at_s - self._seen[1][0] >= WINDOW_S:
            self._seen.popleft()
        first_s, first_done = self._seen[0]
        took = at_s - first_s
        self.rate = (self.done - first_done) / took if took > 0 else 0.0


async def count(store: Store) -> Counts:
    """Read the counts from a store."""
    queues = await store.queues()
    finished = await store.finished_counts()
    there = await store.membership()
    return Counts(
        finished=sum(finished.values()),
        failed=finished.get(State.FAILED, 0),
        waiting=sum(row.waiting for row in queues),
        scheduled=sum(row.scheduled for row in queues),
        running=sum(row.running for row in queues),
        workers=len(there.workers),
        nodes=len(there.nodes),
        paused=sum(row.is_paused for row in queues),
    )


def line_of(tally: Tally) -> list[tuple[str, str]]:
    """Return the line's parts with their styles, most important first: a narrow terminal cuts its end."""
    now = tally.now
    if now is None:
        return [("starting", "dim")]
    parts = [(f"{tally.done:,} done", "green"), (f"{now.waiting:,} waiting", "")]
    parts.append((f"{now.running:,} running", "cyan" if now.running else ""))
    parts.append((f"{tally.rate:,.0f}/s" if tally.rate >= 10 or not tally.rate else f"{tally.rate:.1f}/s", ""))
    parts.append((_workers(now), "" if now.workers else "yellow"))
    if tally.failed:
        parts.append((f"{tally.failed:,} failed", "red"))
    if now.scheduled:
        parts.append((f"{now.scheduled:,} scheduled", "blue"))
    if now.paused:
        parts.append((f"{now.paused} paused", "yellow"))
    return parts


def _workers(now: Counts) -> str:
    workers = "1 worker" if now.workers == 1 else f"{now.workers} workers"
    return workers if now.nodes <= 1 else f"{workers} on {now.nodes} nodes"
