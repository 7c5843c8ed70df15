"""What the store and the way to it are like at this moment."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from rota.errors import OutcomeUnknownError, StoreBusyError, StoreError, StoreFullError, StoreUnavailableError
from tests.simulation.plan import Plan


@dataclass
class Weather:
    """The state of the store. Set by the chaos, fair once it is over.

    Attributes:
        is_down: It cannot be reached.
        is_full: Nothing can be written.
        slowness: Times the usual latency.
        rates: How likely a call is to meet each fault.
    """

    is_down: bool = False
    is_full: bool = False
    slowness: float = 1.0
    rates: dict[str, float] | None = None

    def fault(self, chance: Random, *, is_write: bool) -> str | None:
        """Draw what happens to a call, before it is known whether it would have been carried out."""
        if not self.rates:
            return None
        drawn = chance.random()
        for name, rate in self.rates.items():
            drawn -= rate
            if drawn < 0:
                return name if is_write or name in ("store_refuse", "stalled_call") else "lost_read"
        return None


CALL_FAULTS = ("store_refuse", "lost_call", "lost_reply", "stalled_call")


def rates_of(plan: Plan, chance: Random) -> dict[str, float]:
    """Return how likely each fault of a call is in this history."""
    return {name: chance.choice((0.01, 0.03, 0.1)) for name in CALL_FAULTS if name in plan.faults}


def refusal(name: str, method: str) -> StoreError:
    """Return the error of a fault: what was not done, or of which nobody knows whether it was."""
    if name == "store_refuse":
        return StoreBusyError(f"{method}: locked by somebody. Nothing was written.")
    if name == "store_full":
        return StoreFullError(f"{method}: no room. Nothing was written.")
    if name in ("lost_call", "lost_reply"):
        return OutcomeUnknownError(f"{method}: the reply was lost.")
    return StoreUnavailableError(f"{method}: the store cannot be reached. Nothing was done.")
