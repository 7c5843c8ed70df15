"""Two small things that the machine of job lives is made of: a fault for the next call, and a run that is not forgotten."""

from __future__ import annotations

from dataclasses import dataclass

from rota.model.job import ClaimedJob
from rota.model.outcome import Outcome
from tests.contract.shop import Worker
from tests.faults import Fault


class NextCallPlan:
    """The next call that is armed fails, and no other."""

    def __init__(self) -> None:
        self.armed: Fault | None = None

    def fault(self, method: str) -> Fault | None:
        """Return what was armed, once."""
        fault, self.armed = self.armed, None
        return fault


@dataclass
class PastRun:
    """A run that its worker has not forgotten: it may hand in an outcome late, or once more."""

    worker: Worker
    job: ClaimedJob
    settled: Outcome | None
