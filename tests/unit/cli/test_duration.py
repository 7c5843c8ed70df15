from __future__ import annotations

from datetime import UTC, datetime, timedelta

import click
import pytest

from rota.cli.duration import duration, ending, instant


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90),
        ("1.5", 1.5),
        ("250ms", 0.25),
        ("1.5h", 5400),
        ("10m30s", 630),
        ("10min", 600),
        ("2d", 172_800),
        ("1h 5m", 3900),
    ],
)
def test_durations_are_read_as_people_write_them(text: str, seconds: float) -> None:
    """A bare number is seconds, as everywhere else in rota."""
    assert duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "soon", "-5", "5 parsecs", "1h-5m", "h"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    """A unit that was misread would delay a job by days."""
    with pytest.raises(click.BadParameter, match="is no duration"):
        duration(text)


@pytest.mark.parametrize("text", ["9" * 30, "9" * 30 + "d"])
def test_what_is_longer_than_anything_is_refused(text: str) -> None:
    """Python's own durations end at a billion days."""
    with pytest.raises(click.BadParameter, match="longer than anything"):
        duration(text)


def test_an_instant_without_an_offset_is_local_time() -> None:
    """A person at a terminal means the clock on the wall."""
    assert instant("2027-01-31T08:00+02:00").timestamp() == 1_801_375_200
    assert instant("2027-01-31T08:00").utcoffset() is not None
    with pytest.raises(click.BadParameter, match="is no instant"):
        instant("tomorrow")


def test_an_end_is_a_duration_or_an_instant() -> None:
    """As `expires=` in Python takes both."""
    assert ending("90") == timedelta(seconds=90)
    assert ending(" 1h 5m") == timedelta(minutes=65)
    assert ending("2027-01-31T08:00Z") == datetime(2027, 1, 31, 8, tzinfo=UTC)
    assert ending("2027-01-31") == instant("2027-01-31")


@pytest.mark.parametrize("text", ["", "soon", "-5", "tomorrow", "2027-13-01", "5 parsecs"])
def test_what_is_no_end_is_refused_with_both_ways_to_write_it(text: str) -> None:
    """Whoever types one of them wrongly is not told of the other alone."""
    with pytest.raises(click.BadParameter, match="neither a duration nor an instant"):
        ending(text)
