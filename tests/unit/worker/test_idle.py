"""How long hands were idle while something was ready."""

from __future__ import annotations

from rota.model.job import ClaimedJob
from rota.worker.idle import IdleHands


def job(key: str | None = None) -> ClaimedJob:
    return ClaimedJob(1, b"1" * 16, 1, 0, key, 0, b"{}", 1, None, 1, 0, 0, False, None, 1, 1)


def test_an_idle_hand_is_counted_from_the_news_of_its_job() -> None:
    """Before that there was nothing to do."""
    idle = IdleHands()
    idle.rest(1, 10.0)
    idle.heard(12.0, is_own=True)

    assert idle.took_own(1, began_s=12.1, now_s=12.25) == 250_000


def test_a_hand_that_was_busy_until_now_is_counted_from_its_rest() -> None:
    """The job waited for longer, but not for want of looking."""
    idle = IdleHands()
    idle.heard(1.0, is_own=False)
    idle.rest(1, 10.0)

    assert idle.took_elsewhere([job()], 0.05, began_s=10.2, now_s=10.5) == 500_000


def test_each_hand_has_its_own_rest() -> None:
    """Two that rested at different times and find work at once; a third job finds no idle hand."""
    idle = IdleHands()
    idle.rest(1, 1.0)
    idle.rest(2, 3.0)
    idle.heard(0.5, is_own=True)

    assert idle.took_own(3, began_s=4.9, now_s=5.0) == 4_000_000 + 2_000_000


def test_hands_that_work_again_are_not_idle() -> None:
    """Nothing is counted for a busy worker."""
    idle = IdleHands()
    idle.rest(2, 1.0)
    idle.rest(0, 2.0)
    idle.heard(1.5, is_own=True)

    assert idle.took_own(2, began_s=9.0, now_s=9.1) == 0


def test_a_keyed_job_of_others_was_ready_for_its_affinity_wait() -> None:
    """This is the price of warmth; a keyless one beside it, of which there was no news, has only cost its claim."""
    idle = IdleHands()
    idle.rest(2, 0.0)

    assert idle.took_elsewhere([job("k"), job()], 2.0, began_s=9.9, now_s=10.0) == 2_000_000 + 100_000


def test_news_that_came_to_nothing_is_forgotten() -> None:
    """Its job was taken by somebody else; the next one came later."""
    idle = IdleHands()
    idle.rest(1, 0.0)
    idle.heard(1.0, is_own=True)
    idle.heard(1.0, is_own=False)
    idle.rest(1, 1.1)
    idle.found_nothing()

    assert idle.took_own(1, began_s=8.0, now_s=8.125) == 125_000
    idle.rest(1, 9.0)
    assert idle.took_elsewhere([job()], 0.05, began_s=10.0, now_s=10.5) == 500_000
