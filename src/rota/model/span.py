"""A length of time in words, one rounding for all that people read."""

from __future__ import annotations

_US = 1_000_000
_MINUTE = 60
_HOUR = 3_600
_DAY = 86_400


def span(us: int) -> str:
    """Return a length of time in its two largest units at most, rounded: ``1 h 5 min``, ``2.4 s``, ``12 ms``."""
    us = abs(us)
    if us < _US:
        return f"{us / 1000:.1f} ms" if us < 10_000 else f"{us // 1000} ms"
    seconds = us / _US
    if seconds < 9.95:
        return f"{seconds:.1f} s".replace(".0", "")
    if (whole := _round(seconds, 1)) < _MINUTE:
        return f"{whole} s"
    if whole < 10 * _MINUTE:
        return _two(whole, _MINUTE, "min", 1, "s")
    if (whole := _round(seconds, _MINUTE)) < _HOUR:
        return f"{whole // _MINUTE} min"
    if whole < _DAY:
        return _two(whole, _HOUR, "h", _MINUTE, "min")
    return _two(_round(seconds, _HOUR), _DAY, "d", _HOUR, "h")


def _round(seconds: float, size: int) -> int:
    return int(seconds / size + 0.5) * size


def _two(seconds: int, size: int, unit: str, smaller: int, smaller_unit: str) -> str:
    rest = seconds % size // smaller
    return f"{seconds // size} {unit}" + (f" {rest} {smaller_unit}" if rest else "")
