from __future__ import annotations

import pytest

from rota.model.span import span

MS, S, MIN, H, D = 1_000, 1_000_000, 60_000_000, 3_600_000_000, 86_400_000_000


@pytest.mark.parametrize(
    ("us", "text"),
    [
        (1_200, "1.2 ms"),
        (12 * MS, "12 ms"),
        (2_440 * MS, "2.4 s"),
        (42 * S, "42 s"),
        (65 * S, "1 min 5 s"),
        (25 * MIN, "25 min"),
        (H + 5 * MIN, "1 h 5 min"),
        (3 * D + 4 * H, "3 d 4 h"),
        (5 * S, "5 s"),
        (60 * S, "1 min"),
        (H - 50 * MS, "1 h"),
        (D - 50 * MS, "1 d"),
        (10 * MIN - 50 * MS, "10 min"),
        (MIN - 50 * MS, "1 min"),
        (10 * S - 10 * MS, "10 s"),
        (59 * MIN + 29 * S, "59 min"),
    ],
)
def test_a_length_of_time_is_told_in_what_matters(us: int, text: str) -> None:
    """Nobody wants the milliseconds of a day; what is due in an hour is not due in 59 minutes."""
    assert span(us) == text
