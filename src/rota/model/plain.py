"""What JSON has no word for, and msgspec no rule: paths, and Pydantic models if there are any.

Pydantic is never imported here. Its models are known by the methods that they bring along.
"""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

import msgspec


def is_carried(kind: Any) -> bool:
    """Whether a type that msgspec does not know can be written and read by the hooks below."""
    return kind is object or _is_model(kind) or (isinstance(kind, type) and issubclass(kind, PurePath))


def to_plain(value: Any) -> Any:
    """Return a value of a foreign type in JSON's own terms; msgspec's ``enc_hook``.

    Raises:
        NotImplementedError: There is no way to write it down.
    """
    if _is_model(type(value)):
        return value.model_dump(mode="json", by_alias=True)
    if isinstance(value, PurePath):
        return str(value)
    raise NotImplementedError(f"there is no form for {type(value).__name__}")


def from_plain(kind: type[Any], plain: Any) -> Any:
    """Return a value of a foreign type from JSON's own terms; msgspec's ``dec_hook``.

    Models are read from JSON text, not from Python objects: a strict one takes a date as a string only from JSON.

    Raises:
        ValueError: It does not fit.
    """
    if kind is object:
        return plain
    if _is_model(kind):
        return _read_model(kind, plain)
    if issubclass(kind, PurePath) and isinstance(plain, str):
        return kind(plain)
    return plain


def _is_model(kind: Any) -> bool:
    return hasattr(kind, "model_validate_json") and hasattr(kind, "model_dump")


def _read_model(kind: Any, plain: Any) -> Any:
    try:
        return kind.model_validate_json(msgspec.json.encode(plain))
    except ValueError as error:
        raise ValueError(_first_line_of(error)) from error


def _first_line_of(error: ValueError) -> str:
    errors = getattr(error, "errors", None)
    if not callable(errors):
        return str(error)
    first = errors()[0]
    inside = ".".join(str(step) for step in first["loc"])
    return f"{first['msg']} (in {inside})" if inside else str(first["msg"])
