"""How long the keyed jobs of a task wait for their own worker before another takes them.

    clamp(4 x the task's recent run time, 50 ms, affinity_wait)

The wait itself is the evidence: an idle owner would have taken the job within milliseconds. It is measured by the task, since
warmth is worth to a job only so much as a few times what it takes: between jobs of ten seconds, one of a millisecond must not
wait for five seconds, and one of ten seconds must not leave its worker after fifty milliseconds.

A claim has one limit for all jobs that it may take. So the tasks are put into a few groups whose waits differ by less than a
factor of two, and a look elsewhere asks for one group after the other until it has something. With one task, or many alike,
there is one group and one claim.

Invariants, each with the test that holds it:
    A short job is not held up by the run time of others.     tests/unit/worker/test_affinity.py
    No group waits for less than any of its tasks should.     tests/unit/worker/test_affinity.py
"""

from __future__ import annotations

from collections.abc import Sequence

from rota.worker.pace import Pace

FIRST_US = 50_000
"""The shortest wait: an owner that has to be woken, and to claim, is given this long."""

RUN_TIMES = 4


def wait_groups(pace: Pace, tasks: Sequence[int], longest_us: int) -> list[tuple[int, list[int]]]:
    """Return each group's wait in microseconds and its tasks, the shortest wait first.

    Args:
        pace: The worker's recent run times.
        tasks: Numbers of the tasks that it knows, each of which is in one group.
        longest_us: No wait is longer; below ``FIRST_US`` it is every group's wait.
    """
    groups: dict[int, tuple[int, list[int]]] = {}
    for task_id in tasks:
        wait_us = min(max(RUN_TIMES * int(pace.run_us_of(task_id)), FIRST_US), longest_us)
        doublings = (wait_us // FIRST_US).bit_length()
        longest, members = groups.get(doublings, (0, []))
        groups[doublings] = (max(longest, wait_us), [*members, task_id])
    return sorted(groups.values())
