"""How long keyed jobs wait for their own worker."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rota.worker.affinity import FIRST_US, RUN_TIMES, wait_groups
from rota.worker.pace import Pace

LONGEST_US = 5_000_000


def pace_of(run_us: dict[int, int]) -> Pace:
    pace = Pace()
    for task_id, each_us in run_us.items():
        pace.ran(task_id, each_us)
    return pace


def test_a_short_job_is_not_held_up_by_the_run_time_of_others() -> None:
    """A worker that sends reports for a second and mails for a millisecond: a mail is worth fifty milliseconds of warmth."""
    pace = pace_of({1: 1_000, 2: 1_000_000})

    assert wait_groups(pace, [1, 2], LONGEST_US) == [(50_000, [1]), (4_000_000, [2])]


def test_tasks_that_are_alike_are_one_group() -> None:
    """A look elsewhere then costs one claim."""
    pace = pace_of({1: 20_000, 2: 24_000, 3: 17_000})

    assert wait_groups(pace, [1, 2, 3], LONGEST_US) == [(96_000, [1, 2, 3])]


def test_the_longest_wait_is_the_operators() -> None:
    """Also where it is shorter than what an owner usually gets."""
    pace = pace_of({1: 60_000_000, 2: 1})

    assert wait_groups(pace, [1], LONGEST_US) == [(LONGEST_US, [1])]
    assert wait_groups(pace, [1, 2], 0) == [(0, [1, 2])]
    assert wait_groups(pace, [], LONGEST_US) == []


@given(st.dictionaries(st.integers(1, 50), st.integers(0, 10_000_000), min_size=1))
def test_no_group_waits_for_less_than_any_of_its_tasks_should(run_us: dict[int, int]) -> None:
    """Nor for twice as long; and every task is in one."""
    groups = wait_groups(pace_of(run_us), sorted(run_us), LONGEST_US)

    assert sorted(task_id for _, members in groups for task_id in members) == sorted(run_us)
    assert [wait for wait, _ in groups] == sorted(wait for wait, _ in groups)
    for wait, members in groups:
        for task_id in members:
            should = min(max(RUN_TIMES * run_us[task_id], FIRST_US), LONGEST_US)
            assert should <= wait < 2 * should
