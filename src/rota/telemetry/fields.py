"""A field's value as text, the same in every sink."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from rota.model.token import is_token, token_text

ITEMS_SHOWN = 8
"""Of a list in one field; a thousand tokens in one line help nobody."""


def plain(value: Any) -> Any:
    """Return a value that JSON can hold: tokens and errors as text, lists cut, everything unknown as its ``str``."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return round(value, 6)
    if isinstance(value, bytes):
        return token_text(value) if is_token(value) else value.hex()
    if isinstance(value, BaseException):
        return error_text(value)
    if isinstance(value, Collection):
        shown = [plain(item) for item in list(value)[:ITEMS_SHOWN]]
        return [*shown, f"… {len(value)} in all"] if len(value) > ITEMS_SHOWN else shown
    return str(value)


def error_text(error: BaseException) -> str:
    """Return ``ValueError: what it says`` on one line."""
    try:
        says = " ".join(str(error).split())
    except Exception:  # An exception whose __str__ raises is still worth naming.
        says = "(its message cannot be shown)"
    if not says and isinstance(error, TimeoutError):  # Of asyncio.timeout, which says nothing.
        says = "no answer in time"
    return f"{type(error).__name__}: {says}" if says else type(error).__name__
