"""How far ahead a worker claims."""

from __future__ import annotations

from rota.worker.pace import Pace

SECOND = 1_000_000_000


def test_a_new_worker_claims_nothing_ahead() -> None:
    """Nothing is known of its speed: it may be slow."""
    assert Pace().ahead(SECOND) == 0


def test_slow_jobs_are_not_hoarded() -> None:
    """A job that waits in one worker while another is idle is late for no reason."""
    pace = Pace()
    pace.ahead(SECOND)
    pace.finished(1, 10e6)

    assert pace.ahead(11 * SECOND) == 0


def test_fast_jobs_are_claimed_fifty_milliseconds_ahead() -> None:
    """Else the way to the store would be most of the work."""
    pace = Pace()
    pace.ahead(SECOND)
    for step in range(1, 20):
        pace.finished(1_000, 100)
        ahead = pace.ahead(SECOND + step * SECOND // 10)

    assert 490 <= ahead <= 500


def test_time_without_work_says_nothing_about_speed() -> None:
    """A worker that was idle for an hour is not slow."""
    pace = Pace()
    pace.ahead(SECOND)
    pace.finished(1_000, 100)
    fast = pace.ahead(SECOND + SECOND // 10)

    pace.resting()

    assert pace.ahead(3_600 * SECOND) == fast
