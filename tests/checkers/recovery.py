"""Truth: after a kill, what was being run is run again within the time that is promised (P6)."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.checkers.history import FINAL, Broken, Cancelled, Found, History, Killed, Settled, SettleUnknown
from tests.checkers.runs import Run, by_token, runs_of

TRUTH = "jobs in flight run again in time"


@dataclass(frozen=True)
class Recovery:
    """How long it took.

    Attributes:
        seconds: From each kill to the next start of each job that was in flight, lowest first.
        broken: Those that took too long, or did not come back.
    """

    seconds: list[float]
    broken: list[Broken] = field(default_factory=list)

    def at(self, share: float) -> float:
        """Return the time within which this share of the jobs was back, such as ``0.99``; 0 when none was in flight."""
        return self.seconds[min(int(share * len(self.seconds)), len(self.seconds) - 1)] if self.seconds else 0.0


def recovery(history: History, *, seconds_max: float) -> Recovery:
    """Measure from each kill to the next start of what its worker was running, and look for what took longer.

    Not counted: a run whose outcome had been handed to the store (it may have been recorded just before the kill), one that
    had ended, and a job that was cancelled or condemned meanwhile.
    """
    runs = by_token(runs_of(history))
    killed = {event.worker: event.at for event in history if isinstance(event, Killed)}
    handed_over = {(event.token, event.fence) for event in history if isinstance(event, Settled | SettleUnknown)}
    done_otherwise = {event.token for event in history if isinstance(event, Cancelled)}
    done_otherwise |= {
        event.token for event in history if isinstance(event, Found) and event.state in FINAL - {"succeeded"}
    }
    seconds: list[float] = []
    broken: list[Broken] = []
    for token, of_job in runs.items():
        for number, run in enumerate(of_job):
            if run.worker not in killed or run.has_ended or (token, run.fence) in handed_over:
                continue
            killed_at = killed[run.worker]
            again = of_job[number + 1] if number + 1 < len(of_job) else None
            if again is None:
                if token not in done_otherwise:
                    broken.append(Broken(TRUTH, f"{token} was in flight on {run.worker} and never ran again"))
                continue
            seconds.append(_seconds(again, killed_at))
            if seconds[-1] > seconds_max:
                says = f"{token} ran again {seconds[-1]:.3f} s after the kill of {run.worker}"
                broken.append(Broken(TRUTH, f"{says}; {seconds_max} s are promised"))
    return Recovery(sorted(seconds), broken)


def _seconds(again: Run, killed_at: int) -> float:
    return max(again.began - killed_at, 0) / 1e9
