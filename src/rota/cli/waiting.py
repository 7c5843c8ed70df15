"""What ``rota doctor`` says of jobs that wait for nobody: their queue is served by no worker, or their task known to none.

    few waiting    all of them are looked at, by one read
    many           the newest; ever older ones, each look four times as far back as the one before; the oldest

What nobody takes stays, while all around it is taken: sooner or later it is the oldest. So a few dozen looks of a hundred jobs
each find it among a million.
"""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from rota.cli.words import count
from rota.model.state import State

if TYPE_CHECKING:
    from rota.model.job import JobRow
    from rota.store.port import Check, QueueRow, Store, WorkerRow

FEW: Final = 500
"""So many are all looked at."""
PAGE: Final = 100
"""Jobs in one look among more."""
LOOKS_MAX: Final = 100
"""Enough to halve the way to the oldest down to a few of the numbers that tokens are. Most of them find nothing."""
NAMED_MAX: Final = 5
"""Tasks that are named; who has more of them has one reason for all."""

_MILLISECOND: Final = 1 << 80
"""From a token of one millisecond to those of the next."""
_LIVE: Final = frozenset({State.WAITING, State.SCHEDULED, State.RUNNING})


async def look_at_waiting(opened: Store, open_workers: Sequence[WorkerRow]) -> list[Check]:
    """Look whether one of the open workers serves the queues and knows the tasks of which jobs wait.

    Nothing where that cannot be read.
    """
    from rota.errors import StoreError
    from rota.store.port import Check

    try:
        queues = [row for row in await opened.queues() if row.waiting and not row.is_paused]
        workers = [worker for worker in open_workers if not worker.is_alone]
        if queues and not workers:
            says = f"{count(sum(row.waiting for row in queues), 'job')} waiting, and no worker is there"
            return [Check("queues", "note", says, "Start a node: rota run MODULE:APP")]
        return [*_of_queues(queues, workers), *await _of_tasks(opened, queues, workers)]
    except StoreError:  # What the store lacks has been said.
        return []


def _of_queues(queues: Sequence[QueueRow], workers: Sequence[WorkerRow]) -> list[Check]:
    from rota.store.port import Check

    served = {queue for worker in workers for queue in worker.queues}
    return [
        Check(
            "queues",
            "warning",
            f"{count(row.waiting, 'job')} waiting in queue {row.name!r}, which no worker serves",
            f"Start a node that does: rota run MODULE:APP -q {shlex.quote(row.name)}",
        )
        for row in queues
        if row.name not in served
    ] or [Check("queues", "ok", "every queue in which jobs wait is served, or paused")]


async def _of_tasks(opened: Store, queues: Sequence[QueueRow], workers: Sequence[WorkerRow]) -> list[Check]:
    from rota.store.port import Check

    served = {row.name for row in queues} & {queue for worker in workers for queue in worker.queues}
    if not served:
        return []
    known = {(queue, task) for worker in workers for queue in worker.queues for task in worker.tasks}
    jobs, are_all = await _some_waiting(opened)
    orphans = Counter(
        (row.queue, row.task) for row in jobs if row.queue in served and (row.queue, row.task) not in known
    )
    least = "" if are_all else "at least "
    found = [
        Check(
            "tasks",
            "warning",
            f"{least}{count(number, 'job')} of task {task!r} waiting in queue {queue!r}, of which no worker knows that task",
            "Was it renamed, or is a deploy half done? Start a node with code that has it; or look at them: "
            f"rota jobs --state waiting --task {shlex.quote(task)}",
        )
        for (queue, task), number in orphans.most_common(NAMED_MAX)
    ]
    if rest := len(orphans) - len(found):
        found.append(Check("tasks", "warning", f"{count(rest, 'other task')} of waiting jobs that no worker knows"))
    seen = "every" if are_all else f"of {count(len(jobs), 'waiting job')} looked at, every"
    return found or [Check("tasks", "ok", f"{seen} task of which jobs wait is known to a worker of its queue")]


async def _some_waiting(opened: Store) -> tuple[list[JobRow], bool]:
    """Return waiting jobs, among them the newest and the oldest, and whether they are all that wait."""
    from rota.store.port import JobFilter

    jobs = list(await opened.jobs(JobFilter(states={State.WAITING}, limit=FEW)))
    if len(jobs) < FEW:
        return jobs, True
    newest = _number(jobs[0].token)
    young, old = _number(jobs[-1].token), 0  # What lies between them has not been looked at, and nothing is older.
    back = _MILLISECOND
    for _ in range(LOOKS_MAX):
        back = 4 * max(back, newest - young)
        at = newest - back if newest - back > old else (young + old + 1) // 2
        if at == old:
            break
        # Whatever their state: a look that passes over a million scheduled ones would be none.
        page = await opened.jobs(JobFilter(states=_LIVE, before=at.to_bytes(16, "big"), limit=PAGE))
        jobs += [row for row in page if row.state is State.WAITING]
        if 0 < len(page) < PAGE:
            break
        young, old = (_number(page[-1].token), old) if page else (young, at)
    return jobs, False


def _number(token: bytes) -> int:
    """Return a token as a number: the older, the lower."""
    return int.from_bytes(token, "big")
