"""Faults on the way to the store: refused, lost before it arrived, or done with the reply lost.

    worker ──call──▶ FaultyStore ──▶ Store
                        │ REFUSED        raises StoreBusyError, nothing was done
                        │ LOST_CALL      raises OutcomeUnknownError, nothing was done
                        └ LOST_REPLY     does it, then raises OutcomeUnknownError

A caller cannot tell the last two apart; that is the point of having both.
"""

from __future__ import annotations

import functools
import inspect
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping
from enum import Enum
from random import Random
from typing import Any, Protocol, cast

from rota.errors import OutcomeUnknownError, StoreBusyError
from rota.store.port import Store


class Fault(Enum):
    """What goes wrong with one call."""

    REFUSED = "refused"
    LOST_CALL = "lost call"
    LOST_REPLY = "lost reply"


class Plan(Protocol):
    """Decides what goes wrong."""

    def fault(self, method: str) -> Fault | None:
        """Return what happens to this call of ``method``; called once a call."""
        ...


class ScriptedPlan:
    """Named calls fail, and no others.

    Args:
        script: The fault for (method, number of the call), counted from 1 for each method.

    Attributes:
        calls: How often each method has been called.
        made: How many faults have happened, by method and kind: a test of a fault must see that there was one.
    """

    def __init__(self, script: Mapping[tuple[str, int], Fault]) -> None:
        self._script = script
        self.calls: Counter[str] = Counter()
        self.made: Counter[tuple[str, Fault]] = Counter()

    def fault(self, method: str) -> Fault | None:
        """Return the fault that the script has for this call."""
        self.calls[method] += 1
        fault = self._script.get((method, self.calls[method]))
        if fault is not None:
            self.made[method, fault] += 1
        return fault

    @property
    def is_spent(self) -> bool:
        """Whether every fault of the script has happened."""
        return self.made.total() == len(self._script)


class SeededPlan:
    """Any call may fail, drawn from a seed: the same calls in the same order fail in the same way.

    Args:
        seed: Where chance comes from.
        rate: How likely a call is to fail, 0 to 1.
        methods: Which methods may fail; ``None`` for all.
        kinds: Which faults happen.

    Attributes:
        made: How many faults have happened, by method and kind.
    """

    def __init__(
        self,
        seed: int,
        *,
        rate: float,
        methods: Collection[str] | None = None,
        kinds: Collection[Fault] = tuple(Fault),
    ) -> None:
        self._random = Random(seed)
        self._rate = rate
        self._methods = methods
        self._kinds = sorted(kinds, key=lambda fault: fault.value)
        self.made: Counter[tuple[str, Fault]] = Counter()

    def fault(self, method: str) -> Fault | None:
        """Draw what happens to this call."""
        if self._methods is not None and method not in self._methods:
            return None
        if self._random.random() >= self._rate:
            return None
        fault = self._random.choice(self._kinds)
        self.made[method, fault] += 1
        return fault


class FaultyStore:
    """A store whose calls fail by plan; what is not planned reaches the store behind it unchanged.

    Every method of the port goes through the plan under its own name, those that will be added to it as well. A wake-up
    that is told and fails by plan is silently dropped, as the port allows. Use ``faulty_store`` where a ``Store`` is wanted.

    Args:
        inner: The real store.
        plan: What goes wrong.
    """

    def __init__(self, inner: Store, plan: Plan) -> None:
        self._inner = inner
        self._plan = plan

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if inspect.iscoroutinefunction(found):
            return self._failing(name, found)
        return found

    def tell(self, *args: Any) -> None:
        """Send a wake-up, or lose it."""
        if self._plan.fault("tell") is None:
            self._inner.tell(*args)

    def inline(self) -> Store:
        """Return the engine's inline view, whose calls fail by the same plan."""
        return faulty_store(cast(Any, self._inner).inline(), self._plan)

    def _failing(self, name: str, call: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        @functools.wraps(call)
        async def planned(*args: Any, **named: Any) -> Any:
            fault = self._plan.fault(name)
            if fault is Fault.REFUSED:
                raise StoreBusyError(f"{name} was refused by plan. Nothing was done.", method=name)
            if fault is Fault.LOST_CALL:
                raise OutcomeUnknownError(f"{name} got no reply, by plan.", method=name)
            reply = await call(*args, **named)
            if fault is Fault.LOST_REPLY:
                raise OutcomeUnknownError(f"{name} got no reply, by plan.", method=name)
            return reply

        return planned


def faulty_store(inner: Store, plan: Plan) -> Store:
    """Return ``inner`` with faults by plan, typed as the store that it stands for."""
    return cast(Store, FaultyStore(inner, plan))
