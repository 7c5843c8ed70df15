"""What one history is made of, drawn from its seed: which faults, how often, how many of everything.

Swarm testing: each seed has a subset of the faults. With all of them at once the strong ones hide the subtle ones; a worker
that is always killed before it wakes never brings a stale outcome.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

POLICIES = ("locks", "lease")
"""The ways in which a node proves that it lives: file locks on one machine; counter leases on a machine each."""

FAULTS = (
    "worker_kill",
    "supervisor_kill",
    "keeper_kill",
    "submitter_kill",
    "kill_in_call",
    "pause_in_call",
    "worker_pause",
    "supervisor_pause",
    "node_pause",
    "machine_loss",
    "cut_off",
    "churn",
    "deploy",
    "wall_jump",
    "drift",
    "store_down",
    "store_slow",
    "store_full",
    "store_refuse",
    "lost_call",
    "lost_reply",
    "stalled_call",
    "frozen_write",
    "wake_lost",
    "wake_late",
    "wake_doubled",
)
"""Everything that can go wrong around the code."""

USERS = ("cancel", "reopen", "pause_queue", "resubmit", "reuse_token", "queue_full", "wait")
"""What people do."""

KINDS = (
    "quick",
    "slow",
    "fail_then_succeed",
    "fail_for_good",
    "fail_at_once",
    "snooze",
    "crash_once",
    "crash_always",
    "block",
    "overrun",
    "stubborn",
    "modern",
    "thread",
    "thread_overrun",
)
"""What handlers do. ``modern`` is known to new code only."""


DRIFT_MAX = 1.45
READ_ONLY = {"store_slow", "store_refuse", "stalled_call", "lost_call"}
CALM = {"worker_kill", "submitter_kill", "wall_jump", "wake_lost", "wake_late", "wake_doubled"}


@dataclass(frozen=True)
class Plan:
    """One history.

    Attributes:
        seed: Everything below follows from it.
        policy: How nodes prove that they live.
        faults: Which faults there are.
        users: Which users there are.
        kinds: Which jobs there are.
        nodes, workers: How many nodes, and worker processes in each.
        concurrency: Jobs at once in a worker.
        queues: How many queues.
        jobs: How many jobs are submitted.
        keys: How many keys; 0 for none.
        keyed_share: Which share of the jobs has a key.
        chaos_s: How long there are faults, in true seconds.
        gap_s: From one fault to the next, about.
        latency_s: Of a call to the store and of its reply each, at most.
        drift: The rates of the machines lie within 1 to this; up to 1.45 nothing may come of it.
        lease_ms: Length of a node's lease.
        shared: How likely a node is to be on the same machine as the first.
        runs_on: Nodes go on when their lease runs out, without a timer: ``on_store_loss="run"``.
        is_guarded: Workers have a thread that watches their loop.
    """

    seed: int
    policy: str
    faults: tuple[str, ...]
    users: tuple[str, ...]
    kinds: tuple[str, ...]
    nodes: int
    workers: int
    concurrency: int
    queues: int
    jobs: int
    keys: int
    keyed_share: float
    chaos_s: float
    gap_s: float
    latency_s: float
    drift: float
    lease_ms: int
    shared: float
    runs_on: bool
    is_guarded: bool

    @property
    def is_calm(self) -> bool:
        """Whether only workers die, and wake-ups go astray: then what they held is back within a second."""
        return set(self.faults) <= CALM

    @property
    def can_read_but_not_write(self) -> bool:
        """Whether renewals can fail while everybody's reads succeed: who then stands still looks like the dead."""
        return self.policy == "lease" and not READ_ONLY.isdisjoint(self.faults)

    @property
    def lease_kept_s(self) -> float:
        """How long after its last renewal a living node must not be closed: under file locks never."""
        return float("inf") if self.policy == "locks" else 0.99 * self.lease_ms / 1e3 / self.drift

    @property
    def is_beyond(self) -> bool:
        """Whether more is asked of leases than they bear: then two runs may overlap, and only the records are safe."""
        return self.policy == "lease" and (self.drift > DRIFT_MAX or self.runs_on)


def draw_plan(seed: int, policy: str | None = None) -> Plan:
    """Return the plan of a seed."""
    chance = Random(f"plan {seed}")
    policy_drawn = chance.choice(POLICIES)
    density = chance.choice((0.0, 0.15, 0.3, 0.5))
    faults = tuple(name for name in FAULTS if chance.random() < density)
    drift = chance.choice((1.2, 1.4, 2.0, 3.0)) if "drift" in faults else 1.0
    runs_on = chance.random() < 0.12
    asks_more = drift > DRIFT_MAX or runs_on
    if asks_more and "cut_off" not in faults:
        faults += ("cut_off",)
    users = tuple(name for name in USERS if chance.random() < 0.35)
    kinds = tuple(name for name in KINDS if name == "quick" or chance.random() < 0.25)
    keys = chance.choice((0, 1, 3, 8, 30))
    return Plan(
        seed=seed,
        policy=policy or policy_drawn,
        faults=faults,
        users=users,
        kinds=kinds,
        nodes=chance.choice((2, 3) if asks_more else (1, 2, 2, 3)),
        workers=chance.choice((1, 1, 2, 2, 3)),
        concurrency=chance.choice((1, 2, 4, 8)),
        queues=chance.choice((1, 1, 1, 2)),
        jobs=chance.randrange(10, 41),
        keys=keys,
        keyed_share=chance.choice((0.5, 1.0)) if keys else 0.0,
        chaos_s=chance.uniform(1.0, 4.5),
        gap_s=chance.choice((0.1, 0.3, 1.0)),
        latency_s=chance.choice((0.001, 0.005, 0.03)),
        drift=drift,
        lease_ms=3_000 if asks_more else chance.choice((3_000, 3_000, 8_000)),
        shared=0.0 if asks_more else chance.choice((0.0, 0.0, 0.5)),
        runs_on=runs_on,
        is_guarded=chance.random() < 0.15,
    )
