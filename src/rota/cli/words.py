"""Small texts for people: times, numbers, and "did you mean"."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

from rota.model.near import near
from rota.model.span import span

_US = 1_000_000


def iso(at_us: int | None) -> str | None:
    """Return an instant for programs: ISO 8601, UTC, always with microseconds."""
    if at_us is None:
        return None
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at_us)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def local(at_us: int) -> str:
    """Return an instant for people: local time to the millisecond."""
    moment = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at_us)).astimezone()
    return f"{moment:%Y-%m-%d %H:%M:%S}.{moment.microsecond // 1000:03d}"


def ago(at_us: int | None, now_us: int) -> str:
    """Return how long ago, or in how long, an instant is; empty for ``None``."""
    if at_us is None:
        return ""
    return f"{span(now_us - at_us)} ago" if at_us <= now_us else f"in {span(at_us - now_us)}"


def age(at_us: int, now_us: int) -> str:
    """Return how long ago an instant is in its largest unit, for columns: ``12 min``."""
    seconds = max(0, now_us - at_us) // _US
    sizes = ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s"))
    return next((f"{seconds // size} {unit}" for size, unit in sizes if seconds >= size), "now")


def count(number: int, noun: str, plural: str = "") -> str:
    """Return ``1 job`` or ``1,200 jobs``."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def listed(words: Sequence[str]) -> str:
    """Return ``a``, ``a and b`` or ``a, b and c``."""
    return " and ".join([*filter(None, [", ".join(words[:-1])]), *words[-1:]])


def share(part: int, whole: int) -> str:
    """Return a part in percent, or a dash when there is no whole."""
    return f"{100 * part / whole:.1f} %" if whole else "-"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ``Did you mean 'bake'?``, or nothing if no known word is near."""
    found = near(word, known)
    return f"Did you mean {' or '.join(repr(match) for match in found)}?" if found else ""


def one_line(text: str, most: int = 200) -> str:
    """Return the first line of a text, cut to ``most`` characters."""
    line = text.strip().splitlines()[0] if text.strip() else ""
    return line if len(line) <= most else line[: most - 1] + "…"
