"""How long to wait for a store that does not answer."""

from __future__ import annotations

import pytest

from rota.runtime.patience import store_pause_s
from tests.property.chance import Chance


@pytest.mark.parametrize(("tries", "most"), [(1, 0.02), (2, 0.04), (5, 0.32), (7, 1.0), (10_000, 1.0)])
def test_a_pause_doubles_and_is_never_above_a_second(tries: int, most: float) -> None:
    """When the store comes back, everybody's work goes on at once."""
    pauses = [store_pause_s(tries, Chance(seed)) for seed in range(100)]

    assert most / 2 <= min(pauses)
    assert max(pauses) <= most


def test_no_two_wait_alike() -> None:
    """Else all workers would knock in the same instant."""
    assert len({store_pause_s(3, Chance(seed)) for seed in range(50)}) == 50
