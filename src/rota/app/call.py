"""One call, put into words: the arguments of one job of a batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, ParamSpec

P = ParamSpec("P")


@dataclass(frozen=True, slots=True)
class Call(Generic[P]):
    """The arguments of one job of a batch; made by ``task.call(…)``."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
