"""What a value is made of, each part with the step of the path that leads to it: ``.store``, ``[3]``."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from rota.model.near import closest

ROWS: Final = (list, tuple, set, frozenset, deque)
_STEP: Final = re.compile(r"\.(\w+)|\[(\d+)\]")
_PATH: Final = re.compile(rf"(?:{_STEP.pattern})*")


def fields_of(value: Any) -> tuple[str, ...]:
    """Return the names of the fields of a Struct, dataclass or attrs instance; of anything else none."""
    kind = type(value)
    if hasattr(kind, "__struct_fields__"):
        return tuple(kind.__struct_fields__)
    if hasattr(kind, "__dataclass_fields__"):
        return tuple(kind.__dataclass_fields__)
    if hasattr(kind, "__attrs_attrs__"):
        return tuple(attribute.name for attribute in kind.__attrs_attrs__)
    return ()


def part_at(value: Any, path: str) -> Any:
    """Return what stands at the end of a path, such as ``.orders[1].pizza``.

    Raises:
        LookupError: Nothing that can be found.
    """
    if not _PATH.fullmatch(path):
        raise LookupError(path)
    for name, index in _STEP.findall(path):
        if index and isinstance(value, (list, tuple, deque)):
            value = value[int(index)]
        else:
            value = (value if isinstance(value, Mapping) else values_of(value))[name]
    return value


def find_unwritable(value: Any, path: str, write: Callable[[Any], object]) -> tuple[str, Any]:
    """Return the innermost part of a value that cannot be written, and where it stands.

    Args:
        value: What cannot be written as a whole, for another reason than that it is too deep.
        path: Where it stands, such as ``$.order``.
        write: Raises if something cannot be written.
    """
    while True:
        inner = next((part for part in _parts_of(value) if _fails(write, part[1])), None)
        if inner is None:
            return path, value
        path, value = path + inner[0], inner[1]


def find_unknown(plain: Any, read: Any, path: str) -> str | None:
    """Return which field in JSON the type that it was read as does not have, and where; ``None`` if it has all.

    Pydantic models are left out: whether they take other fields than their own is theirs to say.

    Args:
        plain: The JSON, in Python's plain types.
        read: What it was read as.
        path: Where it stands, such as ``$.order``.
    """
    if isinstance(plain, dict):
        return _unknown_in_object(plain, read, path)
    if isinstance(plain, list) and isinstance(read, (list, tuple, deque)):
        pairs = enumerate(zip(plain, read, strict=False))
        return next(filter(None, (find_unknown(one, other, f"{path}[{at}]") for at, (one, other) in pairs)), None)
    return None


def unknown_field(name: str, known: Iterable[str], path: str) -> str:
    """Return the words for a field that a type does not have."""
    return f"Object contains unknown field {name}{closest(name, known)} - at {path}"


def values_of(value: Any) -> dict[str, Any]:
    """Return the fields of a Struct, dataclass or attrs instance by the names that they have in JSON."""
    fields = fields_of(value)
    names = getattr(value, "__struct_encode_fields__", fields)
    values = {name: getattr(value, field, None) for name, field in zip(names, fields, strict=True)}
    config = getattr(value, "__struct_config__", None)
    return values if config is None or config.tag_field is None else {config.tag_field: config.tag, **values}


def _unknown_in_object(plain: dict[str, Any], read: Any, path: str) -> str | None:
    if not isinstance(read, Mapping):
        values = values_of(read)
    elif len(read) < len(plain):  # a TypedDict: what it does not have was left out
        values = dict(read)
    else:  # its keys may be numbers or dates
        values = dict(zip(plain, read.values(), strict=False))
    for key, value in plain.items() if values else ():
        if key not in values:
            return unknown_field(key, values, path)
        if found := find_unknown(value, values[key], f"{path}.{key}"):
            return found
    return None


def _parts_of(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        yield from ((f".{key}" if isinstance(key, str) else "[…]", part) for key, part in value.items())
    elif isinstance(value, ROWS):
        yield from ((f"[{index}]", part) for index, part in enumerate(value))
    else:
        yield from ((f".{name}", getattr(value, name, None)) for name in fields_of(value))


def _fails(write: Callable[[Any], object], part: Any) -> bool:
    try:
        write(part)
    except Exception:  # msgspec passes on whatever a value's own code raises
        return True
    return False
