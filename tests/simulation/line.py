"""A process's line to the store: each call an event on its way there, each reply one on its way back.

    call ──latency──▶ carried out, at one instant ──latency──▶ reply
          │ lost         │ down, full, refused, locked     │ lost
          │ stalled      │ its process is dead by now

Under file locks a call dies with its process: it is carried out inside of it. Under leases it may be carried out after its
process is dead: it is on its way through the network.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, cast

from rota.errors import StoreError
from rota.store.port import Store, Wake
from rota.store.sqlite.store import SqliteStore
from tests.simulation.observer import Observer
from tests.simulation.tables import SimTable
from tests.simulation.weather import Weather, refusal
from tests.simulation.world import Process, World

READS = frozenset(
    {"held", "closed_workers_with_jobs", "departed", "membership", "states", "find", "history", "head_of", "jobs"}
    | {"queues", "finished_counts", "alone", "ready_elsewhere", "doctor"}
)
"""Methods that write nothing; all others do."""

STALL_S_MAX = 12.0
BUSY_S = 10.0
CUT_S = 2.0
AMBUSH_S_MAX = 15.0
AMBUSH_LOOK_S = 0.02
_WAKE_FAULTS = ("wake_lost", "wake_late", "wake_doubled")


class Network:
    """All lines to the one store.

    Args:
        world: Where they are.
        observer: Sees what is carried out.
        weather: What goes wrong.
    """

    def __init__(self, world: World, observer: Observer, weather: Weather) -> None:
        self.world = world
        self.observer = observer
        self.weather = weather
        self.locked_by: Process | None = None
        self.cut_off: set[str] = set()
        self.ambushes: dict[int, Callable[[Process], None]] = {}
        self._waiting: list[Call] = []
        self._wake_faults = [name for name in _WAKE_FAULTS if name in world.plan.faults]

    def line(self, process: Process) -> Store:
        """Return a process's own line, typed as the store that it stands for."""
        return cast(Store, Line(self, process))

    def send(self, call: Call) -> None:
        """Put a call on its way."""
        world, weather = self.world, self.weather
        call.fault = weather.fault(world.chance, is_write=call.is_write) if world.is_rough else None
        delay = world.chance.random() * world.plan.latency_s * weather.slowness
        if call.fault is not None:
            world.counts[f"fault {call.fault}"] += 1
            world.tell(call.process, f"call meets {call.fault}", method=call.method)
            if call.fault == "stalled_call":
                delay += world.chance.uniform(0.5, STALL_S_MAX)
        world.loop.after(delay, self.arrive, call)
        if call.is_write and call.process.pid in self.ambushes:
            strike = self.ambushes.pop(call.process.pid)
            world.loop.after(world.chance.random() * 2 * delay, self._strike, strike, call.process)

    def _strike(self, strike: Callable[[Process], None], victim: Process) -> None:
        if self.world.is_rough:
            strike(victim)

    def arrive(self, call: Call) -> None:
        """Carry a call out, if it can be."""
        world, weather = self.world, self.weather
        if not call.process.is_alive:
            if world.plan.policy == "locks" or call.fault == "lost_call" or not world.is_rough:
                return
            if not call.is_late and world.chance.random() < 0.7:
                # Whoever sent it is dead, and it is still on its way: a packet that is sent again, a server that was busy.
                call.is_late = True
                if call.method == "settle":
                    self._lie_in_wait(call, world.now + AMBUSH_S_MAX)
                else:
                    world.loop.after(world.chance.choice((0.1, 1.0, 10.0)) * world.chance.random(), self.arrive, call)
                return
            world.counts["fault call_of_the_dead"] += 1
        if call.process.machine.name in self.cut_off:
            world.counts["fault call_cut_off"] += 1
            self._answer(call, error=refusal("lost_call" if call.is_write else "lost_read", call.method), slowly=True)
        elif weather.is_down:
            world.counts["fault store_down"] += 1
            self._answer(call, error=refusal("store_down", call.method))
        elif call.fault in ("store_refuse", "lost_call", "lost_read"):
            self._answer(call, error=refusal(call.fault, call.method))
        elif call.is_write and weather.is_full:
            world.counts["fault store_full"] += 1
            self._answer(call, error=refusal("store_full", call.method))
        elif call.is_write and self.locked_by is not None and self.locked_by is not call.process:
            self._wait_for_lock(call)
        else:
            self._carry_out(call)

    def _lie_in_wait(self, call: Call, until: float) -> None:
        """Let a settle of the dead arrive when it would do most harm: while somebody else runs what it settles.

        Left to chance, one of a hundred does.
        """
        world = self.world
        runs = "SELECT count(*) FROM live WHERE token = ? AND fence > ? AND holder IS NOT NULL"
        if any(world.database.one(runs, outcome.token, outcome.fence) for outcome in call.args[1]):
            world.counts["fault settle_of_the_dead"] += 1
        elif world.now < until:
            world.loop.after(AMBUSH_LOOK_S, self._lie_in_wait, call, until)
            return
        self.arrive(call)

    def _wait_for_lock(self, call: Call) -> None:
        self._waiting.append(call)
        self.world.counts["fault locked_out"] += 1
        self.world.loop.after(BUSY_S, self._give_up, call)

    def _give_up(self, call: Call) -> None:
        if call in self._waiting:
            self._waiting.remove(call)
            self._answer(call, error=refusal("store_refuse", call.method))

    def lock(self, process: Process) -> None:
        """Leave the store locked by a process that stands still in a write, until it goes on or dies."""
        table = next((one for one in self.world.tables.values() if one.writer is process), None)
        if table is not None:
            self.locked_by, table.since_ns = process, process.machine.boot_ns()
            process.at_wake.append(lambda: self._let_go(table))

    def _let_go(self, table: SimTable) -> None:
        table.since_ns = 0
        self.unlock()

    def unlock(self) -> None:
        """Let everybody write who waited for it."""
        self.locked_by = None
        waiting, self._waiting = self._waiting, []
        for call in waiting:
            self.arrive(call)

    def _carry_out(self, call: Call) -> None:
        value: Any = None
        error: BaseException | None = None
        method = getattr(self.world.database.store, call.method)
        try:
            method(*call.args, **call.named).send(None)
        except StopIteration as done:
            value = done.value
        except Exception as raised:
            error = raised
        else:
            raise AssertionError(f"{call.method} suspended")
        self.observer.saw_call(call.process, call.method, call.args, call.named, value, error)
        if call.fault == "lost_reply" and not isinstance(error, StoreError):
            error = refusal("lost_reply", call.method)
        self._answer(call, value, error)

    def _answer(
        self, call: Call, value: Any = None, error: BaseException | None = None, *, slowly: bool = False
    ) -> None:
        world = self.world
        delay = world.chance.random() * (CUT_S if slowly else world.plan.latency_s * self.weather.slowness)
        world.loop.after(delay, _reply, self, call, value, error)

    # ── wake-ups ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def deliver(self, process: Process, heard: Callable[[Wake], None], wake: Wake) -> None:
        """Bring a wake-up to a process; or not, or late, or twice."""
        world = self.world
        times, delay = 1, world.chance.random() * 0.002
        if world.is_rough and self._wake_faults and world.chance.random() < 0.4:
            fault = world.chance.choice(self._wake_faults)
            world.counts[f"fault {fault}"] += 1
            times = {"wake_lost": 0, "wake_late": 1, "wake_doubled": 2}[fault]
            if fault == "wake_late":
                delay += world.chance.uniform(0.1, 3.0)
        for _ in range(times):
            world.loop.after_in(process, delay, heard, wake)


class Call:
    """One call of one method."""

    __slots__ = ("args", "fault", "is_late", "is_write", "method", "named", "process", "take")

    def __init__(
        self,
        process: Process,
        method: str,
        args: tuple[Any, ...],
        named: dict[str, Any],
        take: Callable[[Any, BaseException | None], None],
    ) -> None:
        self.process = process
        self.method = method
        self.args = args
        self.named = named
        self.take = take
        self.is_write = method not in READS
        self.fault: str | None = None
        self.is_late = False


def _reply(network: Network, call: Call, value: Any, error: BaseException | None) -> None:
    if not call.process.is_alive:
        return
    if error is None and call.process.machine.name in network.cut_off:
        network.world.counts["fault reply_cut_off"] += 1
        error = refusal("lost_reply" if call.is_write else "lost_read", call.method)
    call.take(value, error)


def _resolve(future: asyncio.Future[Any], value: Any, error: BaseException | None) -> None:
    if future.done():
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(value)


class Line:
    """One process's store."""

    url = "simulated"

    def __init__(self, network: Network, process: Process) -> None:
        self._network = network
        self._process = process

    def __getattr__(self, method: str) -> Callable[..., Coroutine[Any, Any, Any]]:
        if method.startswith("_") or not hasattr(SqliteStore, method):
            raise AttributeError(method)

        async def call(*args: Any, **named: Any) -> Any:
            loop = self._network.world.loop
            future: asyncio.Future[Any] = loop.create_future()
            if self._process.is_alive:
                self._network.send(Call(self._process, method, args, named, partial(_resolve, future)))
            return await future

        self.__dict__[method] = call
        return call

    def listen(self, name: str, heard: Callable[[Wake], None]) -> Callable[[], None]:
        """Hear wake-ups for as long as the process lives."""
        network, process = self._network, self._process
        stop = network.world.database.store.listen(name, lambda wake: network.deliver(process, heard, wake))
        process.ears.append(stop)
        return stop

    def tell(self, wake: Wake) -> None:
        """Send a wake-up."""
        self._network.world.database.store.tell(wake)

    async def close(self) -> None:
        """Do nothing: the store goes on."""
