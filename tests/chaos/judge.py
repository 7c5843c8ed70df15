"""What a run came to: every truth judged from what the handlers themselves wrote, and how soon jobs ran again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rota.model.state import State
from tests.chaos.faults import FAULTS, WHILE_PAUSED_S
from tests.chaos.nodes import Nodes
from tests.checkers.conservation import conservation
from tests.checkers.history import AnyEvent, Broken, Found, History, Killed, Started, SubmitUnknown, read_history
from tests.checkers.key_order import key_order
from tests.checkers.no_job_lost import no_job_lost
from tests.checkers.nothing_unexpected import nothing_unexpected
from tests.checkers.one_runner import one_runner
from tests.checkers.recovery import Recovery, recovery
from tests.checkers.runs import by_token, runs_of
from tests.checkers.settled_once import settled_once

CHECKS = (no_job_lost, nothing_unexpected, settled_once, one_runner, key_order, conservation)


@dataclass
class Report:
    """What was seen.

    Attributes:
        broken: Truths that did not hold; empty is what we want.
        counts: Jobs, runs, faults.
        recovery: By kind of fault, the seconds until jobs in flight ran again.
    """

    broken: list[Broken]
    counts: Counter[str]
    recovery: Mapping[str, Recovery]
    seconds: float
    exit_codes: list[int] = field(default_factory=list)

    def lines(self) -> list[str]:
        """Return it for people."""
        return [
            *(f"{name.replace('_', ' '):28}{value:>10,}" for name, value in self.counts.items()),
            f"{'seconds':28}{self.seconds:>10.1f}",
            f"{'exit codes of the nodes':28}{self.exit_codes!s:>10}",
            "recovery, s                  in flight      p50      p99      max",
            *(
                f"  {kind.replace('_', ' '):26}{len(one.seconds):>10,}{one.at(0.5):>9.3f}{one.at(0.99):>9.3f}{one.at(1):>9.3f}"
                for kind, one in self.recovery.items()
            ),
            f"{'truths broken':28}{len(self.broken):>10,}",
            *(f"  {one.truth}: {one.says}" for one in self.broken[:20]),
        ]


def judge(nodes: Nodes, made: Mapping[str, int], seconds: float, codes: list[int], *, slack: float) -> Report:
    """Read what was written and judge it.

    Args:
        made: How many faults of each kind were made.
        slack: What the times of P6 are multiplied by, on a machine that others use as well.
    """
    history = read_history(nodes.history)
    counts: Counter[str] = Counter()
    counts["jobs"] = len({event.token for event in history if isinstance(event, Found)})
    counts["runs"] = len(runs_of(history))
    counts["replies_lost"] = sum(isinstance(event, SubmitUnknown) for event in history)
    for state in (State.SUCCEEDED, State.FAILED):
        counts[state.value] = sum(isinstance(event, Found) and event.state == state.value for event in history)
    counts["condemned"] = _condemned(history)
    counts.update(made)
    broken: list[Broken] = []
    for check in CHECKS:
        found: Sequence[Broken] = check(history)
        counts[f"broken_{check.__name__}"] = len(found)
        broken += found
    times = _times(nodes, history, slack)
    for one in times.values():
        broken += one.broken
    return Report(broken, counts, times, seconds, codes)


def _times(nodes: Nodes, history: History, slack: float) -> dict[str, Recovery]:
    engine = nodes.place.engine
    bounds = {name: fault.within_s[engine] for name, fault in FAULTS.items() if engine in fault.within_s}
    bounds["kills_while_paused"] = WHILE_PAUSED_S[engine]
    times: dict[str, Recovery] = {}
    for kind, within_s in bounds.items():
        pids = {str(pid) for pid, met in nodes.hit.items() if met == kind}
        if pids:
            times[kind] = recovery(_without_other_kills(history, pids), seconds_max=within_s * slack)
    if nodes.server_kills:
        times["server_kills"] = Recovery(sorted(_first_starts(history, nodes.server_kills)))
    return times


def _condemned(history: History) -> int:
    """Count the failed jobs that three deaths met, all of them made by this run: by P8 it is right that they are."""
    failed = {event.token for event in history if isinstance(event, Found) and event.state == State.FAILED.value}
    killed = {event.worker for event in history if isinstance(event, Killed)}
    runs = by_token(runs_of(history))
    return sum(sum(run.worker in killed for run in runs.get(token, [])) >= 3 for token in failed)


def _without_other_kills(history: History, pids: set[str]) -> list[AnyEvent]:
    return [event for event in history if not isinstance(event, Killed) or event.worker in pids]


def _first_starts(history: History, outages: Sequence[tuple[int, int]]) -> list[float]:
    """Return how long after each kill of the server the first job was started that cannot have been claimed before it."""
    starts = [event.at for event in history if isinstance(event, Started)]
    again = [(killed, next((at for at in starts if at >= back), None)) for killed, back in outages]
    return [(at - killed) / 1e9 for killed, at in again if at is not None]
