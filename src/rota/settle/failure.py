"""What is kept of an exception: its class, its message, its traceback; each cut, and fit for any database.

Whatever a handler raises must end up as a record: also an exception that cannot be shown, a message of a gigabyte, a
traceback of a thousand frames. Nothing here raises.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from pathlib import Path
from traceback import TracebackException
from typing import Final

from rota.model.limits import ERROR_MESSAGE_BYTES_MAX, NAME_BYTES_MAX, TRACEBACK_BYTES_MAX
from rota.model.outcome import Failure

_OWN: Final = str(Path(__file__).parents[1]) + "/"
_FRAMES_MAX: Final = 100
"""Frames kept of one exception, the innermost: a deep recursion has a thousand, which say the same."""


def failure_of(error: BaseException) -> Failure:
    """Return the record of what was raised."""
    return Failure(
        type=cut_end(_class_name(error), NAME_BYTES_MAX),
        message=cut_end(_message(error), ERROR_MESSAGE_BYTES_MAX),
        traceback=traceback_text(error),
    )


def traceback_text(error: BaseException) -> str:
    """Return the traceback as Python prints it, causes included, without rota's own frames at its top.

    Cut at the front to 16 KiB: what happened stands at the end.
    """
    try:
        told = TracebackException.from_exception(error, limit=-_FRAMES_MAX)
        for part in _chain(told):
            _trim(part)
        text = "".join(told.format())
    except Exception:  # An exception may be so broken that Python itself cannot print it.
        text = f"{_class_name(error)}: (its traceback cannot be shown)\n"
    return cut_front(text, TRACEBACK_BYTES_MAX)


def cut_end(text: str, bytes_max: int) -> str:
    """Return the beginning of a text, at most that many bytes of UTF-8, with a mark where it was cut."""
    data = _bytes(text)
    if len(data) <= bytes_max:
        return data.decode()
    mark = f" … ({len(data):,} bytes in all)".encode()
    return (data[: bytes_max - len(mark)].decode(errors="ignore").encode() + mark).decode()


def cut_front(text: str, bytes_max: int) -> str:
    """Return the end of a text, at most that many bytes of UTF-8, with a mark where it was cut."""
    data = _bytes(text)
    if len(data) <= bytes_max:
        return data.decode()
    mark = f"(the end of {len(data):,} bytes) …\n".encode()
    return (mark + data[len(mark) - bytes_max :].decode(errors="ignore").encode()).decode()


def _bytes(text: str) -> bytes:
    """Return UTF-8 that every store takes: lone surrogates and zero characters written as escapes."""
    return text.replace("\0", "\\x00").encode("utf-8", "backslashreplace")


def _class_name(error: BaseException) -> str:
    return type.__getattribute__(type(error), "__name__")  # type: ignore[no-any-return]


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # Its __str__ is the user's code.
        return "(its message cannot be shown)"


def _chain(told: TracebackException) -> Iterator[TracebackException]:
    """Yield it, its causes and its group's members, each once."""
    waiting, seen = [told], set[int]()
    while waiting:
        part = waiting.pop()
        if id(part) in seen:
            continue
        seen.add(id(part))
        yield part
        waiting += [one for one in (part.__cause__, part.__context__, *(part.exceptions or ())) if one is not None]


def _trim(told: TracebackException) -> None:
    """Drop rota's frames above the handler's first; all of them stay when there is no other."""
    first = next((index for index, frame in enumerate(told.stack) if not frame.filename.startswith(_OWN)), 0)
    told.stack = traceback.StackSummary.from_list(list(told.stack)[first:])
