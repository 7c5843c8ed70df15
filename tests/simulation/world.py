"""The world of one history: its time, chance, machines, processes, and everything that is seen.

World ── loop         virtual time
      ├─ machines     clocks
      ├─ processes    keepers, supervisors, workers, submitters, users; parents and children; signals, deaths
      ├─ holders      who holds which proof of life; tables of the running, as files that outlive their process
      └─ history      what checkers judge; counts, what has happened how often
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping
from random import Random
from typing import Any

from rota.errors import StoreError
from rota.telemetry.telemetry import Telemetry
from tests.checkers.history import AnyEvent, Broken, Killed
from tests.simulation.clocks import Machine, SeededEntropy
from tests.simulation.database import Database
from tests.simulation.loop import Owner, SimLoop
from tests.simulation.plan import Plan
from tests.simulation.tables import SimTable

KILL, TERM, SEGV = 9, 15, 11
_FIRST_PID = 100


class Process(Owner):
    """One process.

    Attributes:
        kind: keeper, supervisor, worker, alone, submitter or user.
        machine: Where it runs.
        ended: Set once it has been reaped, to (code, signal).
        seen: Its name in histories, which no other process has had.
        at_wake: What is called when it goes on after a pause, or dies in it.
        ears: What ends its listening.
        strands: Its threads.
        told_last: What it has told of last.
    """

    def __init__(self, world: World, kind: str, name: str, machine: Machine, parent: Process | None) -> None:
        super().__init__(name, machine.rate)
        self.kind = kind
        self.machine = machine
        self.parent = parent
        self.children: list[Process] = []
        self.pid = world.next_pid()
        self.seen = f"{name}#{self.pid}"
        self.born = world.loop.now
        self.ended: asyncio.Future[tuple[int | None, int | None]] = world.loop.create_future()
        self.at_wake: list[Callable[[], None]] = []
        self.ears: list[Callable[[], None]] = []
        self.strands: list[Any] = []
        self.told_last = ""
        self.entropy = SeededEntropy(f"{world.plan.seed}/{self.seen}", machine)
        self.telemetry = Telemetry([lambda event, fields: world.told(self, event, fields)])
        if parent is not None:
            parent.children.append(self)


class World:
    """Everything that a history happens in.

    Attributes:
        story: What happened, in lines for people; ``None`` when nobody reads it.
        is_rough: Whether there are faults at this moment.
        kept_open: By process, the node whose own row it was not let close, since its lease had been renewed meanwhile.
    """

    def __init__(self, plan: Plan, database: Database, *, tells: bool) -> None:
        self.plan = plan
        self.chance = Random(f"chance {plan.seed}")
        self.loop = SimLoop(Random(f"turns {plan.seed}"))
        self.history: list[AnyEvent] = []
        self.broken: list[Broken] = []
        self.counts: Counter[str] = Counter()
        self.story: list[str] | None = [] if tells else None
        self.is_rough = True
        self.machines: list[Machine] = []
        self.store_machine = self.add_machine("store")
        self.processes: list[Process] = []
        self.holders: dict[str, Process] = {}
        self.tables: dict[str, SimTable] = {}
        self.database = database
        self.incarnations: dict[int, Process] = {}
        self.kept_open: dict[int, int] = {}
        self._pids = _FIRST_PID

    @property
    def now(self) -> float:
        """True time, seconds."""
        return self.loop.now

    @property
    def now_ns(self) -> int:
        """True time, as in histories."""
        return int(self.loop.now * 1e9)

    def next_pid(self) -> int:
        """Return a process id that nobody has had."""
        self._pids += 1
        return self._pids

    def add_machine(self, name: str) -> Machine:
        """Set up a machine. Under file locks all processes share one kernel, and so one clock."""
        if self.plan.policy == "locks" and self.machines:
            return self.machines[0]
        drift = self.plan.drift
        rate = self.chance.choice((1.0, drift, self.chance.uniform(1.0, drift))) if drift > 1 else 1.0
        machine = Machine(name, lambda: self.loop.now, rate, self.chance.uniform(10, 100_000))
        self.machines.append(machine)
        return machine

    # ── processes ────────────────────────────────────────────────────────────────────────────────────────────────────

    def start(
        self,
        kind: str,
        name: str,
        machine: Machine,
        main: Callable[[Process], Coroutine[Any, Any, int]],
        *,
        parent: Process | None = None,
    ) -> Process:
        """Begin a process, which ends with what its ``main`` returns."""
        process = Process(self, kind, name, machine, parent)
        self.processes.append(process)
        self.tell(process, "starts", kind=kind)
        self.loop.spawn(process, self._live(process, main))
        return process

    async def _live(self, process: Process, main: Callable[[Process], Coroutine[Any, Any, int]]) -> None:
        try:
            code = await main(process)
        except Exception as error:
            if not process.is_alive:
                return
            self.tell(process, "fails", error=error)
            self.fail("no process fails of itself", f"{process.seen}: {error!r}")
            self.counts[f"process.failed {process.kind}"] += 1
            code = 1
        self.end(process, code=code)

    def end(self, process: Process, *, code: int | None = None, signal: int | None = None) -> None:
        """End a process, by itself or by a signal: nothing of it runs any more, its children are told by the kernel."""
        if not process.is_alive:
            return
        process.is_alive, process.was_killed = False, signal is not None
        self._halt(process)
        self.tell(process, "ends", code=code, signal=signal)
        if process.kind in ("worker", "alone"):
            self.history.append(Killed(at=self.now_ns, worker=process.seen))
        for child in process.children:
            if child.is_alive:
                number = TERM if process.kind == "keeper" else KILL
                self.loop.after(self.chance.uniform(0, 0.02), self.signal, child, number)
        self.loop.after(self.chance.uniform(0.000_5, 0.01), self._reaped, process, (code, signal))
        self._woke(process)
        for stop in process.ears:
            stop()

    def _reaped(self, process: Process, how: tuple[int | None, int | None]) -> None:
        if not process.ended.done():
            process.ended.set_result(how)

    def signal(self, process: Process, number: int) -> None:
        """Send a signal: SIGKILL ends at once, whatever the process is doing; others are heard when it runs."""
        if not process.is_alive:
            return
        if number == KILL:
            self.end(process, signal=KILL)
        else:
            self.loop.call_in(process, self._hear, process, number)

    def _hear(self, process: Process, number: int) -> None:
        heard = process.signals.get(number)
        if heard is None:
            self.end(process, signal=number)
        else:
            heard()

    def pause(self, process: Process, seconds: float) -> None:
        """Stop a process and let it go on after a while."""
        if process.is_alive and not process.is_paused:
            process.is_paused = True
            self._halt(process)
            self.tell(process, "is stopped", seconds=round(seconds, 3))
            self.loop.after(seconds, self.resume, process)

    def resume(self, process: Process) -> None:
        """Let a stopped process go on."""
        if process.is_paused:
            process.is_paused = False
            self.tell(process, "goes on")
            self._woke(process)
            for owner in (process, *process.strands):
                self.loop.wake(owner)

    def _halt(self, process: Process) -> None:
        for owner in (process, *process.strands):
            self.loop.halt(owner)

    def _woke(self, process: Process) -> None:
        """What stood still with a process does so no more: it goes on, or it is dead."""
        calls, process.at_wake = process.at_wake, []
        for call in calls:
            call()

    async def block(self, process: Process, seconds: float) -> None:
        """Keep a process's loop busy for a while: nothing else of it runs meanwhile."""
        over: asyncio.Future[None] = self.loop.create_future()
        process.is_blocked = True
        self.loop.halt(process)

        def go_on() -> None:
            if process.is_alive:
                process.is_blocked = False
                over.set_result(None)
                process.ready.rotate(1)  # Whoever was busy goes on first; the others were waiting.
                self.loop.wake(process)

        self.loop.after(seconds, go_on)
        await over

    def dispose(self) -> None:
        """End what is left of all processes, threads too."""
        for process in self.processes:
            process.is_alive = False
            for strand in process.strands:
                strand.unwind()
        self.loop.dispose()

    def living(self, *kinds: str) -> list[Process]:
        """Return the processes of these kinds that live."""
        return [process for process in self.processes if process.is_alive and process.kind in kinds]

    # ── what is seen ─────────────────────────────────────────────────────────────────────────────────────────────────

    def told(self, process: Process, event: str, fields: Mapping[str, Any]) -> None:
        """Take an event of rota's own."""
        if process.is_alive:
            self.counts[f"rota {event}"] += 1
            error = fields.get("error")
            if isinstance(error, Exception) and not isinstance(error, StoreError | TimeoutError | OSError):
                self.fail("nothing fails unseen", f"{process.seen}: {event}: {error!r}")
            # An empty claims row is left for a while when the guard of a blocked loop gave its jobs back.
            if event == "store.swept" and (fields["keys_without_head"] or fields["jobs_of_closed_workers"]):
                self.fail("the sweep finds nothing", f"{process.seen}: {dict(fields)}")
            if event == "supervisor.ended" and process.told_last != "store.lost":
                self._look_whether_closed(process)
            process.told_last = event
            if self.story is not None:
                self.tell(process, event, **{name: value for name, value in fields.items() if name != "pid"})

    def _look_whether_closed(self, process: Process) -> None:
        """Whoever said farewell, and was answered, leaves no open row: its name would be taken for a whole lease."""
        node = self.kept_open.get(process.pid)
        if node and self.database.one("SELECT count(*) FROM nodes WHERE id = ? AND closed_at IS NULL", node):
            self.fail("who ends in good order closes its row", f"{process.seen} left that of node {node} open")

    def tell(self, who: Owner | str, what: str, **facts: Any) -> None:
        """Add a line to the story."""
        if self.story is not None:
            name = who if isinstance(who, str) else getattr(who, "seen", who.name)
            said = " ".join(f"{key}={_shown(value)}" for key, value in facts.items() if value is not None)
            self.story.append(f"{self.now:10.6f}  {name:<16} {what}{'  ' if said else ''}{said}")

    def fail(self, truth: str, says: str) -> None:
        """Note that a truth does not hold."""
        self.broken.append(Broken(truth, says))
        self.tell("BROKEN", says)

    def saw(self, event: AnyEvent) -> None:
        """Add an event to the history."""
        self.history.append(event)


def _shown(value: Any) -> str:
    if isinstance(value, bytes):
        return value.hex()[-12:]
    if isinstance(value, BaseException):
        return f"{type(value).__name__}: {str(value).splitlines()[0][:80] if str(value) else ''}"
    if isinstance(value, float):
        return f"{value:.3f}"
    if isinstance(value, str) and len(value) == 36 and value.count("-") == 4:
        return value[-12:]
    text = str(value)
    return text if len(text) <= 100 else text[:97] + "..."
