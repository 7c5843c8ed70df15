from __future__ import annotations

import pytest

from rota.cli.words import age, ago, count, did_you_mean, iso, one_line, share, span

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
    ],
)
def test_a_length_of_time_is_told_in_what_matters(us: int, text: str) -> None:
    """Nobody wants the milliseconds of a day."""
    assert span(us) == text


def test_past_and_future_are_told_apart() -> None:
    """A job that is due says in how long; one that was submitted, how long ago."""
    assert ago(10 * S, 15 * S) == "5.0 s ago"
    assert ago(75 * S, 15 * S) == "in 1 min 0 s"
    assert ago(None, 0) == ""


def test_an_age_in_a_column_has_one_unit() -> None:
    """A column of ages is compared, not read."""
    assert [age(0, us) for us in (400 * MS, 3 * S, 12 * MIN, 5 * H, 9 * D)] == ["now", "3 s", "12 min", "5 h", "9 d"]


def test_instants_for_programs_always_have_the_same_form() -> None:
    """A reader may compare them as text."""
    assert iso(0) == "1970-01-01T00:00:00.000000Z"
    assert iso(1_700_000_000_000_001) == "2023-11-14T22:13:20.000001Z"
    assert iso(None) is None


def test_a_near_word_is_suggested_and_a_far_one_is_not() -> None:
    """A wrong guess is worse than none."""
    assert did_you_mean("bkae", {"bake", "mail"}) == "Did you mean 'bake'?"
    assert did_you_mean("zebra", {"bake", "mail"}) == ""


def test_counts_shares_and_first_lines() -> None:
    """They are read in a hurry."""
    assert (count(1, "job"), count(1_200, "job"), count(2, "crash", "crashes")) == ("1 job", "1,200 jobs", "2 crashes")
    assert (share(1, 3), share(0, 0)) == ("33.3 %", "-")
    assert one_line("first\nsecond") == "first"
    assert one_line("x" * 300) == "x" * 199 + "…"
