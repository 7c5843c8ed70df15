"""What is made of a history: the store as it was found in the end, and the checkers."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from typing import Any

from rota.model.token import token_text
from rota.store.port import JobFilter
from tests.checkers.conservation import conservation
from tests.checkers.history import AnyEvent, Broken, Counted, Found, History, Sampled
from tests.checkers.key_order import key_order
from tests.checkers.no_job_lost import no_job_lost
from tests.checkers.one_runner import one_runner
from tests.checkers.settled_once import settled_once
from tests.simulation.database import Database
from tests.simulation.world import World

CHECKERS = (no_job_lost, settled_once, one_runner, key_order, conservation)

HEADLESS = """
    SELECT count(DISTINCT l.queue_id || ' ' || l.key) FROM live AS l
     WHERE l.key IS NOT NULL AND NOT l.head AND l.due_at IS NULL
       AND NOT EXISTS (SELECT 1 FROM live AS h WHERE h.queue_id = l.queue_id AND h.key = l.key AND h.head)
"""


def sample(world: World) -> Sampled:
    """Count the store's rows, and look what it counts itself."""
    one = world.database.one
    return Sampled(
        at=world.now_ns,
        live=one("SELECT count(*) FROM live"),
        finished=one("SELECT count(*) FROM finished"),
        counted_live=one("SELECT coalesce(sum(n), 0) FROM counters WHERE id > 0"),
        counted_finished=one("SELECT sum(n) FROM counters WHERE id < 0"),
        keys_without_head=one(HEADLESS),
    )


def findings(database: Database, at: int) -> list[AnyEvent]:
    """Return every row of the store, and its own counts."""
    found: list[AnyEvent] = []
    before: bytes | None = None
    while page := _now(database.store.jobs(JobFilter(before=before, limit=1_000))):
        found += [Found(at=at, token=token_text(row.token), state=row.state.value, fence=row.fence) for row in page]
        before = page[-1].token
    live = sum(queue.waiting + queue.scheduled + queue.running for queue in _now(database.store.queues()))
    finished = sum(_now(database.store.finished_counts()).values())
    return [*found, Counted(at=at, live=live, finished=finished)]


def judge(history: History) -> list[Broken]:
    """Ask all checkers."""
    broken: list[Broken] = []
    for check in CHECKERS:
        found: Sequence[Broken] = check(history)
        broken += found
    return broken


def _now(call: Coroutine[Any, Any, Any]) -> Any:
    try:
        call.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("the store suspended")
