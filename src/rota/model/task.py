"""A task as the worker sees it: a name, a function, and how its arguments and result are written down."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from rota.model.retry import Retry


@dataclass(frozen=True, slots=True)
class TaskSpec:
    """What a worker must know of a task.

    Attributes:
        name: The name under which its jobs are stored.
        queue: Where its jobs go unless the submission says otherwise.
        function: The handler. ``async def`` runs on the event loop, ``def`` in a thread.
        is_async: Which of the two.
        decode: Turns a payload into positional and keyword arguments; raises ``InvalidArgumentsError``.
        encode_result: Turns the handler's return value into bytes, ``None`` for ``None``; raises
            ``InvalidArgumentsError`` when it cannot be written as JSON and ``LimitError`` when it is too large.
        retry: The policy after a failed attempt.
        timeout_ms: The longest one attempt may take; ``None`` for no limit.
    """

    name: str
    queue: str
    function: Callable[..., Any]
    is_async: bool
    decode: Callable[[bytes], tuple[tuple[Any, ...], Mapping[str, Any]]]
    encode_result: Callable[[Any], bytes | None]
    retry: Retry
    timeout_ms: int | None = None
