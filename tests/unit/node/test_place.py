"""How long a place on the ring stays empty."""

from __future__ import annotations

from rota.node.place import wait_s


def test_a_worker_that_did_work_is_followed_soon() -> None:
    """Its death may be a job's doing, and other jobs need the place: never more than a second."""
    waits = [wait_s(deaths, has_registered=True) for deaths in range(12)]

    assert waits[:4] == [0, 0, 0, 0]
    assert waits == sorted(waits)
    assert waits[-1] == 1.0


def test_a_worker_that_cannot_start_is_followed_slowly() -> None:
    """A broken deployment must not eat a core."""
    waits = [wait_s(deaths, has_registered=False) for deaths in range(1, 10)]

    assert waits == [0, 0.5, 1, 2, 4, 8, 16, 30, 30]
