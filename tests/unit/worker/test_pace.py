"""How far ahead a worker claims."""

from __future__ import annotations

from rota.worker.pace import Pace

SECOND = 1_000_000_000
MILLISECOND = SECOND // 1_000


def paced(rate: int) -> tuple[Pace, int, int]:
    """Return the pace of a worker that has run for two seconds at this rate, with its jobs done and its busy time."""
    pace, done, busy_ns = Pace(), 0, 0
    for _ in range(20):
        done, busy_ns = done + rate // 10, busy_ns + SECOND // 10
        pace.ahead(done, busy_ns)
    return pace, done, busy_ns


def test_a_new_worker_claims_nothing_ahead() -> None:
    """Nothing is known of its speed: it may be slow."""
    assert Pace().ahead(0, 0) == 0


def test_slow_jobs_are_not_hoarded() -> None:
    """A job that waits in one worker while another is idle is late for no reason."""
    pace = Pace()

    assert [pace.ahead(done, done * 10 * SECOND) for done in range(1, 5)] == [0, 0, 0, 0]


def test_fast_jobs_are_claimed_fifty_milliseconds_ahead() -> None:
    """Else the way to the store would be most of the work."""
    pace, done, busy_ns = paced(10_000)

    assert 490 <= pace.ahead(done, busy_ns) <= 500


def test_waiting_for_the_store_does_not_make_a_worker_claim_less() -> None:
    """It would get fewer jobs for each wait, look slower still, and never come out of it."""
    pace, done, busy_ns = paced(10_000)
    fast = pace.ahead(done, busy_ns)

    after_a_long_wait = pace.ahead(done, busy_ns)

    assert after_a_long_wait == fast


def test_a_worker_whose_pace_has_dropped_claims_by_the_new_one() -> None:
    """The first slow job after ten thousand fast ones: what it has to go by is that nothing has been done since."""
    pace, done, busy_ns = paced(10_000)

    assert pace.ahead(done, busy_ns + 100 * MILLISECOND) == 0
    assert pace.ahead(done, busy_ns + 10 * MILLISECOND) == 5


def test_the_run_time_follows_the_jobs() -> None:
    """How long a keyed job waits for its own worker goes by it."""
    pace = Pace()
    pace.ran(7, 9_000)
    for _ in range(10):
        pace.ran(7, 1_000)

    assert 1_000 <= pace.run_us_of(7) < 1_010


def test_a_task_has_its_own_run_time() -> None:
    """Whatever ran last, and however much of it."""
    pace = Pace()
    for _ in range(10):
        pace.ran(1, 1_000)
        pace.ran(2, 2_000_000)

    assert pace.run_us_of(1) == 1_000
    assert pace.run_us_of(2) == 2_000_000


def test_a_task_that_never_ran_here_is_taken_for_a_usual_one() -> None:
    """Nothing better is known of it."""
    pace = Pace()
    for _ in range(20):
        pace.ran(1, 400_000)

    assert 399_000 < pace.run_us_of(2) <= 400_000
