"""Which known word somebody meant who wrote one that is not known."""

from __future__ import annotations

from collections.abc import Iterable


def near(word: str, known: Iterable[str], most: int = 3) -> list[str]:
    """Return the known words that are like it, the most alike first; at most so many."""
    from difflib import get_close_matches  # Late: seldom needed, and help must be quick.

    return get_close_matches(word, sorted(set(known)), n=most, cutoff=0.6)


def closest(word: str, known: Iterable[str]) -> str:
    """Return `` (did you mean 'bake'?)``, to stand behind the word, or nothing if no known one is near."""
    found = near(word, known, 1)
    return f" (did you mean {found[0]!r}?)" if found else ""
