"""What must have happened at least once in a long run, for the run to have proved anything.

A fault that never struck, and a refusal that was never met, were not tested, however green the run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

HISTORIES_MIN = 1_000
"""From so many histories on everything below must have happened, but for what is rare."""

RARE = ("rota worker.disowned", "rota job.stale", "fault reply_cut_off")
RARE_HISTORIES_MIN = 10_000
"""These take a race between a worker and its supervisor, or a reply that is lost on a line just cut."""

FAULTS = (
    "worker_kill",
    "supervisor_kill",
    "keeper_kill",
    "submitter_kill",
    "kill_in_call",
    "pause_in_call",
    "machine_loss",
    "worker_pause",
    "supervisor_pause",
    "node_pause",
    "frozen_write",
    "locked_out",
    "churn",
    "deploy",
    "wall_jump",
    "cut_off",
    "call_cut_off",
    "reply_cut_off",
    "call_of_the_dead",
    "settle_of_the_dead",
    "store_down",
    "store_slow",
    "store_full",
    "store_refuse",
    "lost_call",
    "lost_reply",
    "lost_read",
    "stalled_call",
    "wake_lost",
    "wake_late",
    "wake_doubled",
    "blocking handler",
    "crashing handler",
    "stubborn handler",
)

TOLD = (
    "claim.unknown",
    "settle.unknown",
    "settle.failed",
    "jobs.adopted",
    "jobs.given_back",
    "job.stale",
    "job.retried",
    "job.timed_out",
    "job.suspected",
    "job.condemned",
    "job.cancelled",
    "job.expired",
    "waiting.expired",
    "queue.paused",
    "queue.resumed",
    "worker.paused",
    "worker.resumed",
    "worker.rescued",
    "worker.killed",
    "worker.recycled",
    "job.overran",
    "worker.disowned",
    "worker.delayed",
    "worker.write_stuck",
    "node.closed",
    "node.renamed",
    "orchestrator.changed",
    "rescue.failed",
    "watch.failed",
    "duty.failed",
    "lease.late",
    "lease.lapsed",
    "lease.regained",
)

SEEN = (
    "alone run",
    "condemned",
    "stale settle",
    "lost settle recognised",
    "timer fell",
    "close lost",
    "cancel of waiting",
    "cancel of scheduled",
    "cancel of running",
    "duplicate submit",
    "submit refused",
    "submit unknown",
    "registration repeated",
    "reopen",
    "stolen",
    "expired by the house",
    "result awaited",
    "drift beyond the bound",
    "loop blocked",
    "left to the next node",
    "cancel in a thread",
)

REFUSED = ("NodeClosedError", "QueueFullError", "TokenReusedError", "reopen")


def never(counts: Counter[str], histories: int = RARE_HISTORIES_MIN) -> Sequence[str]:
    """Return what has not happened, of what must have in so many histories."""
    wanted = [
        *(f"fault {name}" for name in FAULTS),
        *(f"rota {name}" for name in TOLD),
        *(f"seen {name}" for name in SEEN),
        *(f"refused {name}" for name in REFUSED),
    ]
    excused = RARE if histories < RARE_HISTORIES_MIN else ()
    return [name for name in wanted if not counts[name] and name not in excused]
