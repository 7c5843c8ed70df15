"""Whether what a handler will get equals what was handed in.

JSON has fewer types than Python, so a value can be written without complaint and come back as another: ``nan`` as
``None``, ``b"a"`` as ``"YQ=="``, a subclass as its base without its own fields. Such a change is found here, before anything
is stored. Nearly always the two are equal and one comparison says so; only if not are they walked side by side.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rota.model.parts import ROWS, fields_of, unknown_field, values_of


def find_change(given: Any, read: Any, path: str) -> str | None:
    """Return what changed between a value and itself written down and read again, and where; ``None`` if nothing did.

    Args:
        given: The value handed in.
        read: The same, as the handler will get it.
        path: Where it stands, such as ``$.order``.
    """
    if given is read or _equal(given, read):
        return None
    if read is None:
        return f"{given!r} would arrive as None - at {path}"
    if isinstance(given, Mapping):
        return _in_mapping(given, read, path)
    if isinstance(given, ROWS) and isinstance(read, ROWS):
        return _in_rows(given, read, path)
    if type(given) is not type(read):
        return f"Expected {type(read).__name__}, got {type(given).__name__} - at {path}"
    return _first(find_change(getattr(given, n, None), getattr(read, n, None), f"{path}.{n}") for n in fields_of(given))


def _equal(given: Any, read: Any) -> bool:
    try:
        return bool(given == read)
    except Exception:  # a comparison of the user's own may do anything; the walk decides then
        return False


def _in_mapping(given: Mapping[Any, Any], read: Any, path: str) -> str | None:
    if not isinstance(read, Mapping):
        if not fields_of(read):
            return f"Expected {type(read).__name__}, got {type(given).__name__} - at {path}"
        read = values_of(read)
    for key, value in given.items():
        if key not in read:
            if isinstance(key, str):
                return unknown_field(key, read, path)
            return f"Expected str keys, got {type(key).__name__} ({key!r}) - at {path}"
        change = find_change(value, read[key], f"{path}.{key}")
        if change:
            return change
    return None


def _in_rows(given: Iterable[Any], read: Any, path: str) -> str | None:
    if isinstance(read, (set, frozenset)):
        return _first(None if _has(read, item) else f"{item!r} would not arrive as it is - at {path}" for item in given)
    return _first(
        find_change(one, other, f"{path}[{index}]") for index, (one, other) in enumerate(zip(given, read, strict=False))
    )


def _has(read: set[Any] | frozenset[Any], item: Any) -> bool:
    try:
        return item in read
    except TypeError:  # not hashable; it arrived as something that is
        return False


def _first(changes: Iterable[str | None]) -> str | None:
    return next((change for change in changes if change), None)
