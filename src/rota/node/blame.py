"""Whom a death may be blamed on. Pure: from how a process ended, and what it was running, to what the store is told.

    how it ended                                       running jobs
    killed by us after it was asked to end             forgiven: a drain counts for nobody
    SIGTERM, when we had sent it                       forgiven: it had not even begun to listen
    exit 0 after it was asked to end                   forgiven
    exit 75 and a will was left                        forgiven: a recycle; the will says what becomes of the one that overran
    anything else, by any signal or code               suspects; condemned if the worker ran one job alone

An exit code alone proves nothing, since a handler can call ``os._exit`` with any: hence "asked" and the will.
"""

from __future__ import annotations

import signal
from collections.abc import Collection

from rota.model.outcome import WORKER_ENDED, Failure
from rota.node.process import Ending
from rota.store.port import Blame, WorkerRow
from rota.worker.order import DRAINED, RECYCLE


def is_forgiven(ending: Ending, running: Collection[bytes], *, has_will: bool) -> bool:
    """Whether this end counts for nobody."""
    if ending.is_asked and (ending.killed_why is not None or ending.signal == signal.SIGTERM):
        return True
    if ending.code == DRAINED:
        return ending.is_asked or not running
    return ending.code == RECYCLE and has_will


def blame_of_ending(name: str, ending: Ending, running: Collection[bytes], *, is_alone: bool, has_will: bool) -> Blame:
    """Return the blame for the end of a worker that its own supervisor has reaped."""
    forgives = is_forgiven(ending, running, has_will=has_will)
    return Blame(
        running=frozenset(running),
        failure=_ended(name, ending) if forgives else _crashed(name, ending),
        condemns=is_alone,
        forgives=forgives,
    )


def _ended(name: str, ending: Ending) -> Failure:
    how = "recycled: a job in it overran its time limit" if ending.code == RECYCLE else "drained"
    if ending.killed_why is not None:
        how = f"stopped: {ending.killed_why}"
    return Failure(WORKER_ENDED, f"worker {name} was {how}.")


def _crashed(name: str, ending: Ending) -> Failure:
    says = f"worker {name} {ending.words}."
    if ending.last_lines:
        says += f" Its last lines:\n{ending.last_lines.rstrip()}"
    return Failure("WorkerCrashed", says)


def blame_of_loss(worker: WorkerRow, running: Collection[bytes] | None, *, has_will: bool, is_node_lost: bool) -> Blame:
    """Return the blame for a worker that somebody else has seen dead, by its proof of life.

    Args:
        worker: The dead worker.
        running: From its running table; ``None`` if that cannot be read: then all that it held count.
        has_will: It left a will, or who forgave it left an empty one: it had ended on purpose.
        is_node_lost: Its supervisor is dead as well.
    """
    who = f"worker {worker.name} (process {worker.pid})"
    if has_will:
        failure = Failure(
            WORKER_ENDED, f"{who} was drained, stopped or recycled, and not its own supervisor gave back what it held."
        )
    else:
        whose = "with its node" if is_node_lost else "while its supervisor was not looking"
        unknown = "" if running is not None else ", nor which of its jobs it was running"
        kind = "NodeLost" if is_node_lost else "WorkerCrashed"
        failure = Failure(kind, f"{who} ended {whose}; nobody saw how{unknown}.")
    return Blame(
        running=None if running is None else frozenset(running),
        failure=failure,
        condemns=worker.is_alone,
        forgives=has_will,
    )
