"""Durations and instants as people type them: ``90``, ``1.5h``, ``10m30s``; ``2027-01-31T08:00``."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import datetime, timedelta

import click

_UNITS = {"ms": 0.001, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|min|s|m|h|d)")


def duration(text: str) -> timedelta:
    """Read a duration: seconds, or numbers with the units ms, s, m (or min), h, d.

    Raises:
        click.BadParameter: If it is neither, or longer than anything can be.
    """
    word = text.strip().replace(" ", "")
    try:
        if re.fullmatch(r"\d+(\.\d+)?", word):
            return timedelta(seconds=float(word))
        if word and not _PART.sub("", word):
            return timedelta(seconds=sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(word)))
    except OverflowError:
        raise click.BadParameter(f"{text!r} is longer than anything can be.") from None
    raise click.BadParameter(f"{text!r} is no duration. Write seconds, or numbers with units: 90, 1.5h, 10m30s, 2d.")


def ending(text: str) -> timedelta | datetime:
    """Read an end: a duration from now, or an instant.

    Raises:
        click.BadParameter: If it is neither.
    """
    for read in (duration, instant):
        with suppress(click.BadParameter):
            return read(text)
    raise click.BadParameter(
        f"{text!r} is neither a duration nor an instant. Write it as 90, 10m, 1.5h, or as 2027-01-31T08:00."
    )


def instant(text: str) -> datetime:
    """Read an instant: ISO 8601; local time unless it carries an offset.

    Raises:
        click.BadParameter: If it is not.
    """
    try:
        return datetime.fromisoformat(text.strip()).astimezone()
    except (ValueError, OverflowError):
        raise click.BadParameter(
            f"{text!r} is no instant. Write it as 2027-01-31T08:00 (local time) or 2027-01-31T08:00+01:00."
        ) from None
