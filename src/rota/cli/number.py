"""Whole numbers as people type them, with the limits named when they are not kept."""

from __future__ import annotations

from collections.abc import Callable

import click


def whole(low: int, high: int) -> Callable[[str | int], int]:
    """Return what reads a whole number from ``low`` to ``high``.

    Raises (what is returned does):
        click.BadParameter: It is none, or outside.
    """

    def read(text: str | int) -> int:
        try:
            number = int(text)
        except ValueError:
            number = low - 1
        if low <= number <= high:
            return number
        raise click.BadParameter(f"{str(text)!r} is not a whole number from {low:,} to {high:,}.")

    return read
