"""What is made of a history: the store as it was found in the end, and the checkers."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from typing import Any

from rota.model.token import token_text
from rota.store.port import JobFilter
from tests.checkers.blame import blame
from tests.checkers.conservation import conservation
from tests.checkers.history import AnyEvent, Broken, Counted, Found, History, Left, Sampled
from tests.checkers.honest_replies import honest_replies
from tests.checkers.key_order import key_order
from tests.checkers.lease_exclusivity import lease_exclusivity
from tests.checkers.lease_kept import lease_kept
from tests.checkers.newest_run import newest_run
from tests.checkers.no_growth import no_growth
from tests.checkers.no_job_lost import no_job_lost
from tests.checkers.nothing_unexpected import nothing_unexpected
from tests.checkers.one_runner import one_runner
from tests.checkers.rescue import rescue
from tests.checkers.ring_moves import ring_moves
from tests.checkers.samples import samples
from tests.checkers.settled_once import settled_once
from tests.simulation.database import Database
from tests.simulation.plan import Plan
from tests.simulation.world import World

CHECKERS = (
    no_job_lost,
    nothing_unexpected,
    settled_once,
    honest_replies,
    newest_run,
    one_runner,
    key_order,
    lease_exclusivity,
    blame,
    conservation,
    ring_moves,
    samples,
    no_growth,
)

BEYOND = (one_runner, key_order, lease_exclusivity, nothing_unexpected, blame)
"""What is promised only as long as the rates of clocks differ by less than 1.45."""

RESCUE_S_MAX = 1.0
"""What is promised on one machine, as long as the store answers."""

COUNTED = """
    SELECT (SELECT count(*) FROM live),
           (SELECT count(*) FROM finished),
           (SELECT coalesce(sum(n), 0) FROM counters WHERE id > 0)
         + (SELECT count(*) FROM live WHERE seq > (SELECT n FROM counters WHERE id = 0)),
           (SELECT sum(n) FROM counters WHERE id < 0),
           (SELECT count(DISTINCT l.queue_id || ' ' || l.key) FROM live AS l
             WHERE l.key IS NOT NULL AND NOT l.head AND l.due_at IS NULL
               AND NOT EXISTS (SELECT 1 FROM live AS h WHERE h.queue_id = l.queue_id AND h.key = l.key AND h.head))
"""


def sample(world: World) -> Sampled:
    """Count the store's rows, and look what it counts itself."""
    live, finished, counted_live, counted_finished, headless = world.database.one(COUNTED)
    return Sampled(
        at=world.now_ns,
        live=live,
        finished=finished,
        counted_live=counted_live,
        counted_finished=counted_finished,
        keys_without_head=headless,
    )


def findings(database: Database, at: int) -> list[AnyEvent]:
    """Return every row of the store, and its own counts."""
    found: list[AnyEvent] = []
    before: bytes | None = None
    while page := at_once(database.store.jobs(JobFilter(before=before, limit=1_000))):
        found += [Found(at=at, token=token_text(row.token), state=row.state.value, fence=row.fence) for row in page]
        before = page[-1].token
    live = sum(queue.waiting + queue.scheduled + queue.running for queue in at_once(database.store.queues()))
    finished = sum(at_once(database.store.finished_counts()).values())
    left = [
        Left(at=at, kind=kind, count=database.one(f"SELECT count(*) FROM {rows}"))
        for kind, rows in (
            ("claims rows", "claims"),
            ("open workers", "workers WHERE closed_at IS NULL"),
            ("open nodes", "nodes WHERE closed_at IS NULL"),
        )
    ]
    return [*found, *left, Counted(at=at, live=live, finished=finished)]


def judge(history: History, plan: Plan) -> list[Broken]:
    """Ask all checkers, but for what was never promised."""
    broken: list[Broken] = []
    for check in CHECKERS:
        if check in BEYOND and plan.is_beyond:
            continue
        found: Sequence[Broken] = check(history)
        broken += found
    if not plan.is_beyond and not plan.can_read_but_not_write:
        broken += lease_kept(history, seconds_min=plan.lease_kept_s, unheard_s=plan.lease_ms / 2e3)
    if plan.is_calm:
        broken += rescue(history, seconds_max=RESCUE_S_MAX)
    return broken


def at_once(call: Coroutine[Any, Any, Any]) -> Any:
    """Return what a call of the store comes to, which never suspends."""
    try:
        call.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("the store suspended")
