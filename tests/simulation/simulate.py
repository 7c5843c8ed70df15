"""One history, from its seed to its verdict.

chaos ──▶ heal ──▶ settle everything, within a bound ──▶ drain: all end in good order ──▶ judge
"""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.checkers.history import AnyEvent, Broken
from tests.simulation.chaos import Chaos
from tests.simulation.database import Database
from tests.simulation.judge import at_once, findings, judge, sample
from tests.simulation.line import Network
from tests.simulation.loop import StuckError
from tests.simulation.nodes import GRACE_S, Nodes
from tests.simulation.observer import Observer
from tests.simulation.people import People
from tests.simulation.plan import Plan, draw_plan
from tests.simulation.rings import Rings
from tests.simulation.slots import few_slots
from tests.simulation.tasks import QUEUES, Tasks
from tests.simulation.tracebacks import kept_tracebacks
from tests.simulation.weather import Weather
from tests.simulation.world import World

SETTLE_S_MAX = 120.0
"""Within this after the heal everything is settled."""

DRAIN_S_MAX = GRACE_S + 12.0
"""Within this after it was asked to, every process has ended."""

CLEAR_S_MAX = 30.0
JANITOR = "janitor"
SAMPLE_S = 1.0
RINGS_EVERY = 5
FAR_US = 3_000_000

_database: Database | None = None


@dataclass
class Verdict:
    """What became of one history.

    Attributes:
        plan: What it was made of.
        violations: Truths that did not hold; empty is what we want.
        history: Everything that was seen.
        counts: How often each fault and each path was taken.
        story: The same for people, line by line; empty unless it was asked for.
        seconds: How long it was, in virtual time.
        healed_s: How long after the heal everything had been settled.
        steps: How many callbacks were run.
    """

    plan: Plan
    violations: list[Broken]
    history: list[AnyEvent]
    counts: Counter[str]
    story: list[str] = field(default_factory=list)
    seconds: float = 0.0
    healed_s: float = 0.0
    steps: int = 0


class Simulation:
    """A cluster and its end."""

    def __init__(self, plan: Plan, database: Database, *, tells: bool) -> None:
        self.world = World(plan, database, tells=tells)
        waiting_max = 15 if "queue_full" in plan.users else 10_000
        database.begin(self.world.store_machine, waiting_max)
        weather = Weather()
        self.tasks = Tasks(self.world)
        self.network = Network(self.world, Observer(self.world), weather)
        self.nodes = Nodes(self.world, self.network, self.tasks)
        self.people = People(self.world, self.network, self.tasks)
        self.chaos = Chaos(self.world, self.nodes, self.people, self.network, weather)
        self.rings = Rings()
        self.healed_s = 0.0

    def run(self) -> None:
        """Live through all phases."""
        world = self.world
        self.world.tell("PLAN", str(world.plan))
        world.loop.after(SAMPLE_S, self._sample)
        self._in_loop(self.chaos.begin)
        world.loop.run_until(lambda: False, world.plan.chaos_s)
        self._in_loop(self.chaos.heal)
        healed_at = world.now
        world.loop.run_until(self._is_settled, healed_at + SETTLE_S_MAX)
        self.healed_s = world.now - healed_at
        if not self._is_settled():
            world.fail("everything is settled in time", f"{self._left()} after {SETTLE_S_MAX} s without faults")
        self._in_loop(self.chaos.end)
        world.loop.run_until(self._is_empty, world.now + DRAIN_S_MAX)
        if not self._is_empty():
            names = ", ".join(process.seen for process in world.living("keeper", "supervisor", "worker", "alone"))
            world.fail("everybody ends when asked", f"{names} live {DRAIN_S_MAX} s later")
        elif self._is_something_left():
            self._clear_up()

    def _clear_up(self) -> None:
        """Start one more node: whoever comes next closes what those before could not, since the store did not answer."""
        world = self.world
        world.counts["seen left to the next node"] += 1
        self._in_loop(lambda: self.nodes.start(JANITOR))
        world.loop.run_until(lambda: not self._is_something_left(), world.now + CLEAR_S_MAX)
        self._in_loop(self.chaos.end)
        world.loop.run_until(self._is_empty, world.now + DRAIN_S_MAX)

    def _is_something_left(self) -> bool:
        one = self.world.database.one
        return bool(
            one("SELECT count(*) FROM nodes WHERE closed_at IS NULL AND name <> ?", JANITOR)
            or one("SELECT count(*) FROM workers WHERE closed_at IS NULL AND name NOT LIKE ?", f"{JANITOR}/%")
            or one("SELECT count(*) FROM claims")
        )

    def _in_loop(self, call: Callable[[], object]) -> None:
        self.world.loop.after(0, call)
        self.world.loop.run_until(lambda: False, self.world.now)

    def _is_settled(self) -> bool:
        return self._settled

    _settled = False

    def _look(self) -> None:
        """Look whether all is settled; let time pass if all that is left is for much later."""
        world = self.world
        is_done = self.people.left == 0 and not world.living("submitter", "user")
        self._settled = is_done and world.database.one("SELECT count(*) FROM live") == 0
        if is_done and not self._settled:
            due = world.database.one(
                "SELECT min(due_at) FROM live HAVING NOT max(ready OR alone OR holder IS NOT NULL)"
            )
            ahead = 0 if due is None else due - world.store_machine.now_us()
            if ahead > FAR_US:
                world.tell("TIME", "passes", seconds=ahead / 1e6)
                for machine in world.machines:
                    machine.wall_offset_us += ahead

    def _sample(self) -> None:
        world = self.world
        world.saw(sample(world))
        if world.plan.seed % RINGS_EVERY == 0:
            members = at_once(world.database.store.membership())
            for queue in QUEUES[: world.plan.queues]:
                for ring in self.rings.look(members, queue, world.now_ns):
                    world.saw(ring)
        if not self.world.is_rough:
            self._look()
        self.world.loop.after(SAMPLE_S if self.world.is_rough else SAMPLE_S / 4, self._sample)

    def _is_empty(self) -> bool:
        return not self.world.living("keeper", "supervisor", "worker", "alone")

    def _left(self) -> str:
        rows = self.world.database.rows(
            "SELECT t.name, hex(l.token), l.key, l.head, l.ready, l.alone, l.holder, l.due_at "
            "FROM live l JOIN tasks t ON t.id = l.task_id"
        )
        return f"{len(rows)} jobs are live: {rows[:5]}"


def run(seed: int, *, policy: str | None = None, tells: bool = False) -> Verdict:
    """Live through the history of a seed and judge it. The same seed is the same history, to the bit.

    Args:
        seed: Any number.
        policy: ``locks`` or ``lease``; ``None`` for what the seed draws.
        tells: Whether to keep the story.
    """
    global _database  # noqa: PLW0603 - statements are prepared once a process, not once a history.
    if _database is None:
        _database = Database()
    plan = draw_plan(seed, policy)
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        with few_slots(), kept_tracebacks():
            return _verdict(Simulation(plan, _database, tells=tells))
    finally:
        if was_enabled:
            gc.enable()


def _verdict(simulation: Simulation) -> Verdict:
    world = simulation.world
    try:
        simulation.run()
    except StuckError as stuck:
        world.fail("the history goes on and ends", str(stuck))
    for process in world.processes:
        world.counts["seen stolen"] += process.telemetry.counters["claims.stolen"]
        world.counts["seen loop blocked"] += process.telemetry.counters["loop.blocked"]
    world.counts["seen drift beyond the bound"] += world.plan.is_beyond
    for who, raised in (*world.loop.complaints, *world.loop.unseen_errors()):
        world.fail("nothing fails unseen", f"{who}: {raised!r}")
    history = sorted([*world.history, *findings(world.database, world.now_ns)], key=lambda event: event.at)
    violations = world.broken + judge(history, world.plan)
    verdict = Verdict(
        world.plan,
        violations,
        history,
        world.counts,
        world.story or [],
        world.now,
        simulation.healed_s,
        world.loop.steps,
    )
    world.dispose()
    return verdict
