"""The faults: each plan's own, one after another at random instants, until the chaos is over and everything is healed."""

from __future__ import annotations

from rota.node.watch import LOOK_S
from tests.checkers.history import Restored
from tests.simulation.line import Network
from tests.simulation.nodes import Nodes
from tests.simulation.people import People
from tests.simulation.weather import Weather, rates_of
from tests.simulation.world import KILL, TERM, Process, World

HOUR_US = 3_600_000_000


class Chaos:
    """Makes faults.

    Args:
        world: Where.
        nodes: Which nodes there are; also starts and ends them.
        people: Whose submitters die.
        network: What happens to the store.
        weather: The same, as long as it lasts.

    Attributes:
        is_over: No node is started any more.
    """

    def __init__(self, world: World, nodes: Nodes, people: People, network: Network, weather: Weather) -> None:
        self._world = world
        self._nodes = nodes
        self._people = people
        self._network = network
        self._weather = weather
        makes = {
            "worker_kill": self._kill_worker,
            "supervisor_kill": self._kill_supervisor,
            "keeper_kill": self._kill_keeper,
            "submitter_kill": self._kill_submitter,
            "kill_in_call": self._kill_in_call,
            "pause_in_call": self._pause_in_call,
            "worker_pause": self._pause_worker,
            "supervisor_pause": self._pause_supervisor,
            "node_pause": self._pause_node,
            "machine_loss": self._lose_machine,
            "cut_off": self._cut_off,
            "churn": self._churn,
            "deploy": self._deploy,
            "wall_jump": self._jump,
            "store_down": self._down,
            "store_slow": self._slow,
            "store_full": self._full,
            "frozen_write": self._freeze,
        }
        self._makes = {name: make for name, make in makes.items() if name in world.plan.faults}
        self.is_over = False
        self._down_since = 0.0
        self._leaving: set[int] = set()
        weather.rates = rates_of(world.plan, world.chance)

    def begin(self) -> None:
        """Start the nodes, the people and the faults."""
        world, chance = self._world, self._world.chance
        for number in range(1, world.plan.nodes + 1):
            is_old = "deploy" in world.plan.faults and chance.random() < 0.5
            self._nodes.start(f"n{number}", is_old=is_old)
        for number in range(1, chance.choice((1, 2)) + 1):
            self._people.start_submitter(f"submitter{number}")
        self._people.start_users()
        self._schedule()

    def _schedule(self) -> None:
        if self._makes:
            gap = self._world.chance.expovariate(1 / self._world.plan.gap_s)
            self._world.loop.after(gap, self._strike)

    def _strike(self) -> None:
        world = self._world
        if not world.is_rough:
            return
        name = world.chance.choice(list(self._makes))
        if self._makes[name]() is not False:
            world.counts[f"fault {name}"] += 1
        self._schedule()

    def _one(self, *kinds: str) -> Process | None:
        living = self._world.living(*kinds)
        return self._world.chance.choice(living) if living else None

    # ── deaths ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def _kill(self, *kinds: str) -> bool:
        victim = self._one(*kinds)
        if victim is None:
            return False
        self._world.tell("CHAOS", "kills", victim=victim.seen)
        self._world.signal(victim, KILL)
        return True

    def _kill_worker(self) -> bool:
        return self._kill("worker", "alone")

    def _kill_supervisor(self) -> bool:
        return self._kill("supervisor")

    def _kill_keeper(self) -> bool:
        """The node ends in good order, and somebody starts another one later."""
        keeper = self._one("keeper")
        if keeper is None:
            return False
        self._world.signal(keeper, KILL)
        self._start_later(keeper.name.removesuffix("/keeper"), is_old=False)
        return True

    def _kill_submitter(self) -> bool:
        submitter = self._one("submitter")
        if submitter is None:
            return False
        self._world.signal(submitter, KILL)
        self._world.loop.after(self._world.chance.uniform(0.05, 0.5), self._people.start_submitter, submitter.name)
        return True

    def _kill_in_call(self) -> bool:
        """Kill a process while its next write is on its way: before it is carried out, or after, without the reply."""
        victim = self._one("worker", "worker", "alone", "supervisor", "submitter")
        if victim is None or victim.pid in self._network.ambushes:
            return False
        self._network.ambushes[victim.pid] = self._kill_now
        return True

    def _kill_now(self, victim: Process) -> None:
        self._world.tell("CHAOS", "kills in a call", victim=victim.seen)
        self._world.signal(victim, KILL)
        if victim.kind == "submitter":
            self._world.loop.after(self._world.chance.uniform(0.05, 0.5), self._people.start_submitter, victim.name)

    def _pause_in_call(self) -> bool:
        """Stop a process while its next write is on its way."""
        victim = self._one("worker", "alone", "supervisor")
        if victim is None or victim.pid in self._network.ambushes:
            return False
        seconds = self._pause_s()
        self._network.ambushes[victim.pid] = lambda process: self._world.pause(process, seconds)
        return True

    # ── pauses ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def _pause_s(self) -> float:
        """From a moment to ten leases; under leases most are about as long as one."""
        chance, lease_s = self._world.chance, self._world.plan.lease_ms / 1e3
        if self._world.plan.policy == "lease" and chance.random() < 0.6:
            return lease_s * (chance.uniform(0.8, 2.5) if self._world.plan.is_beyond else chance.uniform(0.3, 1.6))
        return chance.choice((0.05, 0.5, 2.0, lease_s, 10 * lease_s)) * chance.random()

    def _pause_worker(self) -> bool:
        worker = self._one("worker", "alone")
        if worker is not None:
            self._world.pause(worker, self._pause_s())
        return worker is not None

    def _pause_supervisor(self) -> bool:
        supervisor = self._one("supervisor")
        if supervisor is not None:
            self._world.pause(supervisor, self._pause_s())
        return supervisor is not None

    def _pause_node(self) -> bool:
        """Stop a supervisor and its workers: a container that is frozen."""
        supervisor = self._one("supervisor")
        if supervisor is None:
            return False
        seconds = self._pause_s()
        for process in (supervisor, *supervisor.children):
            self._world.pause(process, seconds)
        return True

    def _lose_machine(self) -> bool:
        """End everything on a machine at one instant, files included: nobody is left to say that anybody died."""
        keeper = self._one("keeper")
        if self._world.plan.policy == "locks" or keeper is None:
            return False
        world, machine = self._world, keeper.machine
        world.tell("CHAOS", "machine is lost", machine=machine.name)
        for process in world.living("keeper", "supervisor", "worker", "alone"):
            if process.machine is machine:
                if process.kind == "keeper":
                    self._start_later(process.name.removesuffix("/keeper"), is_old=False)
                world.end(process, signal=KILL)
        for proof in [proof for proof, holder in world.holders.items() if holder.machine is machine]:
            del world.holders[proof]
            world.tables.pop(proof, None)
        return True

    def _cut_off(self) -> bool:
        """Let nothing of a machine reach the store for a while."""
        keeper = self._one("keeper")
        if self._world.plan.policy == "locks" or keeper is None:
            return False
        people = self._one("submitter", "user")
        cut = people if people is not None and self._world.chance.random() < 0.2 else keeper
        machine, seconds = cut.machine, self._pause_s()
        self._network.cut_off.add(machine.name)
        self._world.tell("CHAOS", "is cut off", machine=machine.name, seconds=seconds)
        self._world.loop.after(seconds, self._join, machine.name)
        return True

    def _join(self, machine: str) -> None:
        self._network.cut_off.discard(machine)
        self._world.tell("CHAOS", "is joined again", machine=machine)

    # ── comings and goings ───────────────────────────────────────────────────────────────────────────────────────────

    def _start_later(self, name: str, *, is_old: bool) -> None:
        self._world.loop.after(self._world.chance.uniform(0.1, 2.0), self.start_unless_there, name, is_old)

    def start_unless_there(self, name: str, is_old: bool) -> None:
        """Start a node whose keeper is not there; once it has gone, if it is leaving."""
        there = [keeper for keeper in self._world.living("keeper") if keeper.name == f"{name}/keeper"]
        if self.is_over:
            return
        if not there:
            self._nodes.start(name, is_old=is_old and self._world.is_rough)
        elif there[0].pid in self._leaving:
            self._world.loop.after(0.5, self.start_unless_there, name, is_old)

    def _ask_to_leave(self, keeper: Process) -> None:
        self._leaving.add(keeper.pid)
        self._world.signal(keeper, TERM)

    def _end_node(self, *, is_old: bool) -> bool:
        keeper = self._one("keeper")
        if keeper is None:
            return False
        self._world.tell("CHAOS", "drains", keeper=keeper.seen)
        self._ask_to_leave(keeper)
        if self._world.chance.random() < 0.2:  # Somebody is impatient.
            self._world.loop.after(0.3, self._world.signal, keeper, TERM)
        self._start_later(keeper.name.removesuffix("/keeper"), is_old=is_old)
        return True

    def _churn(self) -> bool:
        return self._end_node(is_old=False)

    def _deploy(self) -> bool:
        return self._end_node(is_old=self._world.chance.random() < 0.3)

    # ── the store, and clocks ────────────────────────────────────────────────────────────────────────────────────────

    def _jump(self) -> None:
        machine = self._world.chance.choice(self._world.machines)
        machine.wall_offset_us = self._world.chance.randrange(-3 * HOUR_US, 3 * HOUR_US)
        self._world.tell("CHAOS", "jumps", machine=machine.name, hours=machine.wall_offset_us / HOUR_US)

    def _down(self) -> bool:
        if self._weather.is_down:
            return False
        self._weather.is_down, self._down_since = True, self._world.now
        seconds = self._world.chance.choice((0.3, 2.0, 4.0)) * self._world.chance.random()
        self._world.tell("CHAOS", "store is down", seconds=seconds)
        self._world.loop.after(seconds, self._up)
        return True

    def _up(self) -> None:
        if self._weather.is_down:
            self._weather.is_down = False
            could_read = self._world.now - self._down_since < 2 * LOOK_S
            self._world.saw(Restored(at=self._world.now_ns, could_read=could_read))
            self._world.tell("CHAOS", "store is up")

    def _slow(self) -> None:
        self._weather.slowness = self._world.chance.choice((5.0, 30.0, 100.0))
        self._world.loop.after(self._world.chance.uniform(0.2, 2.0), self._fast)

    def _fast(self) -> None:
        if self._weather.slowness > 1.0:
            self._weather.slowness = 1.0
            self._world.saw(Restored(at=self._world.now_ns))

    def _full(self) -> None:
        chance, lease_s = self._world.chance, self._world.plan.lease_ms / 1e3
        self._weather.is_full = True
        # Rather often for longer than anybody's renewals may fail to come.
        seconds = lease_s * chance.uniform(1.0, 2.0) if chance.random() < 0.3 else chance.uniform(0.2, 3.0)
        self._world.tell("CHAOS", "store is full", seconds=seconds)
        self._world.loop.after(seconds, self._roomy)

    def _roomy(self) -> None:
        if self._weather.is_full:
            self._weather.is_full = False
            self._world.saw(Restored(at=self._world.now_ns, could_read=True))

    def _freeze(self) -> bool:
        """Stop a worker inside of a write: nobody else can write until it goes on or is killed."""
        worker = self._one("worker")
        if self._world.plan.policy != "locks" or self._network.locked_by is not None or worker is None:
            return False
        self._network.lock(worker)
        self._world.pause(worker, self._world.chance.uniform(0.5, 20.0))
        return True

    # ── the end of it ────────────────────────────────────────────────────────────────────────────────────────────────

    def heal(self) -> None:
        """End all faults: everybody goes on, every node is there, all run new code, clocks agree."""
        world = self._world
        world.is_rough = False
        world.tell("CHAOS", "ends")
        self._network.ambushes.clear()
        self._up()
        self._fast()
        self._roomy()
        # Under leases it is the end of a long absence that is dangerous: let some of them go on for a while.
        longest = 0.0 if world.plan.policy == "locks" else 1.6 * world.plan.lease_ms / 1e3
        for process in world.processes:
            if process.is_paused:
                world.loop.after(longest * world.chance.random(), world.resume, process)
        for machine_name in sorted(self._network.cut_off):
            world.loop.after(longest * world.chance.random(), self._join, machine_name)
        offset = max(machine.wall_offset_us for machine in world.machines)
        for machine in world.machines:
            machine.wall_offset_us = offset
        for number in range(1, world.plan.nodes + 1):
            self._renew(f"n{number}")

    def end(self) -> None:
        """Ask every node to end, and start none any more."""
        self.is_over = True
        for keeper in self._world.living("keeper"):
            self._world.signal(keeper, TERM)

    def _renew(self, name: str) -> None:
        """See to it that a node runs new code."""
        if self.is_over:
            return
        for keeper in self._world.living("keeper"):
            if keeper.name == f"{name}/keeper" and self._nodes.is_old.get(keeper.pid):
                self._ask_to_leave(keeper)
                self._world.loop.after(4.0, self._renew, name)
                return
        self.start_unless_there(name, False)
