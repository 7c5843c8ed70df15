"""One queue as one worker sees it."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from rota.model.slot import place_of
from rota.ring.member import Member
from rota.ring.ring import Ring
from rota.worker.line import (
    SKIPPED_LONGEST_S,
    STAGE_ELSEWHERE_LONGEST_S,
    STAGE_ELSEWHERE_S,
    STEAL_FIRST_S,
    STEAL_LONGEST_EACH_S,
    STEAL_LONGEST_S,
    SWEEP_REST,
    SWEEP_S,
    QueueLine,
    rest_s,
)
from tests.unit.worker.test_slots import claimed


def quiet_line(own: Iterable[int] = range(8)) -> QueueLine:
    """Return a line that has looked everywhere at second 0 and found nothing."""
    line = QueueLine(1, "ovens")
    line.slots.set_own(own)
    assert line.wants_probe(0.0)
    slots, _ = line.slots.next_probe()
    line.slots.told(slots, [], [], is_full=False)
    line.looked_elsewhere(0, 0.0, 0.0)
    return line


def line_after_a_claim(probe_s: float) -> QueueLine:
    """Return a quiet line whose first look took so long, and that has claimed the job at place 40 of slot 3 since."""
    line = quiet_line()
    line.probed(probe_s, probe_s)
    line.slots.heard(3, 0)
    slots, _ = line.slots.next_probe()
    line.slots.told(slots, [claimed(3, 40)], [], is_full=False)
    return line


def test_nothing_is_probed_until_there_is_a_reason() -> None:
    """An idle worker costs nothing."""
    assert not quiet_line().wants_probe(0.5)


def test_all_slots_are_probed_once_a_second_although_nobody_said_anything() -> None:
    """Wake-ups can be lost."""
    line = quiet_line()

    assert line.wants_probe(SWEEP_S)
    assert len(line.slots.next_probe()[0]) == 8


def test_a_job_that_falls_due_is_looked_for_then() -> None:
    line = quiet_line()
    line.note_due(300_000, 0.0)
    line.note_due(900_000, 0.0)

    wait_s = line.wait_s(0.0, is_idle=False)

    assert wait_s == 0.3
    assert not line.wants_probe(0.2)
    assert line.wants_probe(0.3)
    assert line.due_at is None


def test_a_busy_worker_does_not_wait_for_what_it_would_not_do() -> None:
    """It looks at others' slots only with free hands: waiting for that moment, which has passed, would be no wait."""
    line = quiet_line()
    line.steal_at = 0.1

    assert line.wait_s(0.5, is_idle=False) == 0.5
    assert line.wait_s(0.5, is_idle=True) == 0.0


def test_a_paused_queue_is_not_waited_for_either() -> None:
    line = quiet_line()
    line.steal_at = 0.1
    line.is_paused = True

    assert line.wait_s(0.5, is_idle=True) == 0.5


def test_news_of_a_paused_queue_makes_all_its_slots_suspects() -> None:
    """It may be the news that it goes on; what came in meanwhile can be anywhere."""
    line = quiet_line()
    line.is_paused = True

    assert line.heard(1_000, 0)
    assert len(line.slots.next_probe()[0]) == 8


def test_a_skipped_slot_is_tried_again_soon_then_less_often() -> None:
    """Another session is staging it; 2, 4, 8 … 50 ms."""
    line = quiet_line()
    line.heard(3, 0)
    waits = []
    now_s = 0.0
    for _ in range(8):
        line.note_skipped(True, now_s)
        assert not line.wants_probe(now_s)
        wait_s = line.wait_s(now_s, is_idle=False)
        waits.append(round(wait_s, 3))
        now_s += wait_s
        assert line.wants_probe(now_s)

    assert waits[:5] == [0.002, 0.004, 0.008, 0.016, 0.032]
    assert waits[-1] == SKIPPED_LONGEST_S


def test_a_moment_to_try_again_that_has_passed_is_not_waited_for() -> None:
    """Without room nothing was claimed then; the next free hand does it."""
    line = quiet_line()
    line.heard(3, 0)
    line.note_skipped(True, 0.0)

    assert line.wants_probe(0.1)
    assert line.wait_s(0.1, is_idle=False) == 0.9


def test_news_is_not_held_up_by_a_slot_that_was_skipped() -> None:
    line = quiet_line()
    line.heard(3, 0)
    line.note_skipped(True, 0.0)

    line.heard(5, 0)

    assert line.wants_probe(0.0)


def test_looks_elsewhere_come_at_once_while_they_pay_and_rarer_while_not() -> None:
    """An idle worker must help within a moment, and cost nothing."""
    line = quiet_line()
    line.found_own(0.0, 0.0)
    at_first = line.steal_at
    line.looked_elsewhere(3, 1.0, 0.0)
    after_a_find = line.steal_at
    for _ in range(10):
        line.looked_elsewhere(0, 2.0, 0.0)

    assert (at_first, after_a_find, line.steal_at) == (0.05, 1.0, 2.0 + STEAL_LONGEST_S)


def test_in_a_large_cluster_long_idle_workers_look_elsewhere_no_more_often_together() -> None:
    """A hundred that looked twice a second each would be most of what an idle store does."""
    line = quiet_line()
    line.ring = Ring.of([Member(f"mitte/{number}") for number in range(1, 101)])
    now_s = 0.0
    waited: list[float] = []
    for _ in range(30):
        line.looked_elsewhere(0, now_s, 0.0)
        waited.append(round(line.steal_at - now_s, 6))
        now_s = line.steal_at

    assert waited == sorted(waited)
    assert waited[-1] == 100 * STEAL_LONGEST_EACH_S
    assert sum(1 for each in waited if each <= 2 * STEAL_LONGEST_S) >= 10
    assert sum(each for each in waited if each < waited[-1]) > 10.0

    line.looked_elsewhere(1, now_s, 0.0)
    line.looked_elsewhere(0, now_s, 0.0)
    assert line.steal_at == now_s + STEAL_FIRST_S


def test_news_of_others_slots_is_looked_into_soon_and_again_a_little_later() -> None:
    """A keyed job may be taken 50 ms after it became ready at the earliest: the first look often comes too soon for it."""
    line = quiet_line()
    for _ in range(10):
        line.looked_elsewhere(0, 1.0, 0.0)

    line.heard_elsewhere(1.0, 1.0)
    first = line.steal_at
    line.looked_elsewhere(0, first, 0.0)
    second = line.steal_at
    line.looked_elsewhere(0, second, 0.0)
    third = line.steal_at

    assert [round(each - 1.0, 3) for each in (first, second, third)] == [0.06, 0.11, 0.21]


def spread_of(workers: int, jitter: float) -> float:
    """Return how soon one of so many workers looks after news of others' slots."""
    line = quiet_line()
    line.ring = Ring.of([Member(f"mitte/{number}") for number in range(1, workers + 1)])
    line.steal_at = 10.0
    line.heard_elsewhere(1.0, jitter)
    return round(line.steal_at - 1.0, 3)


def test_the_more_workers_there_are_the_wider_their_looks_are_spread() -> None:
    """A hundred who came within the same moment would be a storm for each job; the first of them need not come later."""
    few, many = (2, 4), (20, 50)

    assert [spread_of(workers, 0.0) for workers in (*few, *many)] == [0.02] * 4
    assert [spread_of(workers, 1.0) for workers in few] == [0.06] * 2
    assert [spread_of(workers, 1 / workers) for workers in many] == [0.03] * 2


def test_more_news_of_others_slots_make_the_look_no_sooner() -> None:
    """Of many draws the lowest is a low one: while jobs arrive all the time, everybody would look at the earliest moment."""
    line = quiet_line()
    line.steal_at = 10.0
    assert line.heard_elsewhere(1.0, 0.9)
    drawn = line.steal_at

    assert not line.heard_elsewhere(1.001, 0.0)
    assert line.steal_at == drawn
    line.looked_elsewhere(0, drawn, 1.0)
    assert line.heard_elsewhere(drawn, 0.0)


def test_news_that_hurry_nothing_need_no_look_at_all() -> None:
    """A worker that will look before that anyway is not to be woken for it."""
    line = quiet_line()
    line.steal_at = 1.01

    assert not line.heard_elsewhere(1.0, 0.5)
    assert line.steal_at == 1.01


def test_a_look_from_the_beginning_that_took_long_is_not_made_again_soon() -> None:
    """While somebody holds an old snapshot it reads all that has died: each second, it would be all that is done."""
    line = QueueLine(1, "ovens")
    line.slots.set_own(range(2))
    assert line.wants_probe(0.0)
    slots, _ = line.slots.next_probe()
    line.slots.told(slots, [claimed(0, 40), claimed(1, 41)], [], is_full=False)

    line.probed(0.5, 0.5)

    assert line.wants_probe(1.0)
    assert line.slots.next_probe() == ([0, 1], [place_of(0, 41), place_of(0, 42)])
    line.slots.failed()
    assert line.wants_probe(0.5 + 0.5 * SWEEP_REST)
    assert line.slots.next_probe() == ([0, 1], [0, 0])


def test_a_look_from_the_beginning_has_lasted_until_every_slot_was_reached() -> None:
    """Claims that come back full reach a part of the slots each; what all of them took counts."""
    line = QueueLine(1, "ovens")
    line.slots.set_own(range(2))
    assert line.wants_probe(0.0)
    for number, slot in enumerate((0, 1)):
        slots, _ = line.slots.next_probe()
        line.slots.told(slots, [claimed(slot)], [], is_full=True)
        line.probed(0.1, 0.1 * number)

    assert line.reset_at == 0.1 + rest_s(0.2)


def test_a_job_that_falls_due_is_found_without_a_look_from_the_beginning() -> None:
    """Jobs may fall due all the time; what a claim stages itself it finds, however old its place."""
    line = line_after_a_claim(0.01)
    line.note_due(0, 0.0)

    assert line.wants_probe(0.02)

    slots, cursors = line.slots.next_probe()
    assert dict(zip(slots, cursors, strict=True))[3] == place_of(0, 41)


def test_news_of_others_slots_do_not_shorten_the_rest_after_a_long_look_there() -> None:
    line = quiet_line()

    line.looked_elsewhere(0, 1.0, 0.0, took_s=0.5)
    line.heard_elsewhere(1.1, 0.0)

    assert line.steal_at == 1.0 + rest_s(0.5)


def test_being_told_to_look_everywhere_does_not_shorten_the_rest_after_a_long_look() -> None:
    """A busy worker's socket overflows now and then, and each time it is told so."""
    line = line_after_a_claim(0.5)

    line.heard_everything(0, 0.6)

    slots, cursors = line.slots.next_probe()
    assert len(slots) == 8
    assert dict(zip(slots, cursors, strict=True))[3] == place_of(0, 41)


@pytest.mark.parametrize(
    ("workers", "took_s", "wait_s"),
    [(2, 0.001, STAGE_ELSEWHERE_S), (20, 0.001, 2.0), (120, 0.001, STAGE_ELSEWHERE_LONGEST_S), (2, 1.0, SWEEP_REST)],
)
def test_others_slots_are_staged_more_seldom_the_more_workers_there_are(
    workers: int, took_s: float, wait_s: float
) -> None:
    """All of them together must not keep the store busy with looking."""
    line = quiet_line()
    line.ring = Ring.of(frozenset(Member(f"mitte/{number}", 1) for number in range(workers)))

    line.staged_elsewhere(100.0, took_s)

    assert line.stage_at == 100.0 + wait_s
