from __future__ import annotations

from rota.cli.words import age, ago, count, did_you_mean, iso, listed, one_line, share

MS, S, MIN, H, D = 1_000, 1_000_000, 60_000_000, 3_600_000_000, 86_400_000_000


def test_past_and_future_are_told_apart() -> None:
    """A job that is due says in how long; one that was submitted, how long ago."""
    assert ago(10 * S, 15 * S) == "5 s ago"
    assert ago(75 * S, 15 * S) == "in 1 min"
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
    assert [listed(("a", "b", "c")[:n]) for n in range(4)] == ["", "a", "a and b", "a, b and c"]
    assert (share(1, 3), share(0, 0)) == ("33.3 %", "-")
    assert one_line("first\nsecond") == "first"
    assert one_line("x" * 300) == "x" * 199 + "…"
