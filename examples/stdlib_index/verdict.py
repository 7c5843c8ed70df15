"""Judges the logbook. Every number of the report is counted here from what the handlers wrote; none is assumed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from examples.stdlib_index.facts import SourceFile
from examples.stdlib_index.logbook import Entry


@dataclass
class Run:
    """One run of one job, from its start line to its end line or to its process's death; ``end`` is None if neither."""

    path: str
    token: str
    fence: int
    pid: int
    start: float
    end: float | None = None
    is_complete: bool = False


@dataclass(frozen=True)
class Crash:
    """A process that was killed, and when (monotonic seconds)."""

    pid: int
    at: float


@dataclass(frozen=True)
class Verdict:
    """What really happened.

    Attributes:
        lost: Jobs without a complete run, or without a recorded result.
        done_twice: Jobs that were run again although a run of theirs had been recorded.
        repeated: Jobs with two complete runs: the first one ended in the instant before its process died, too late to be
            recorded. At-least-once allows it; it is told, not hidden.
        overlaps: Pairs of runs of one job at the same time.
        out_of_order: Jobs that started before the one ahead of them in their package had been done.
        interrupted: Jobs that were running when the process was killed.
        recovery: For each interrupted job, seconds from the kill to its next start.
    """

    lost: list[str]
    done_twice: list[str]
    repeated: list[str]
    overlaps: list[str]
    out_of_order: list[str]
    interrupted: list[str]
    recovery: list[float]

    @property
    def is_good(self) -> bool:
        """Whether every promise was kept."""
        return not (self.lost or self.done_twice or self.overlaps or self.out_of_order) and (
            len(self.recovery) == len(self.interrupted)
        )


def runs_of(entries: Iterable[Entry], crash: Crash | None) -> dict[str, list[Run]]:
    """Return the runs of each job by token, in order of their start."""
    runs: dict[str, list[Run]] = defaultdict(list)
    for entry in entries:
        if entry.what == "start":
            runs[entry.token].append(Run(entry.path, entry.token, entry.fence, entry.pid, entry.at))
            continue
        run = next(run for run in reversed(runs[entry.token]) if (run.fence, run.pid) == (entry.fence, entry.pid))
        run.end, run.is_complete = entry.at, True
    for run in (run for line in runs.values() for run in line):
        if run.end is None and crash is not None and run.pid == crash.pid:
            run.end = max(crash.at, run.start)
    return runs


def judge(
    entries: Sequence[Entry],
    files: Mapping[str, SourceFile],
    recorded_fences: Mapping[str, int],
    crash: Crash | None,
) -> Verdict:
    """Judge a run of the demo.

    Args:
        entries: The logbook.
        files: What was submitted, by token, in order of submission.
        recorded_fences: By token, the fence under which a success was recorded in the store.
        crash: The process that was killed.
    """
    runs = runs_of(entries, crash)
    interrupted = [
        run for line in runs.values() for run in line if crash and run.pid == crash.pid and not run.is_complete
    ]
    again = {
        run.token: [later.start - crash.at for later in runs[run.token] if later.fence > run.fence][:1]
        for run in interrupted
        if crash
    }
    return Verdict(
        lost=[
            token
            for token in files
            if token not in recorded_fences or not any(run.is_complete for run in runs.get(token, []))
        ],
        done_twice=[
            token
            for token, line in runs.items()
            if any(run.fence > recorded_fences.get(token, run.fence) for run in line)
            or sum(run.fence == recorded_fences.get(token) for run in line) > 1
        ],
        repeated=[token for token, line in runs.items() if sum(run.is_complete for run in line) > 1],
        overlaps=[token for token, line in runs.items() if _overlaps(line)],
        out_of_order=_out_of_order(runs, files),
        interrupted=[run.token for run in interrupted],
        recovery=[seconds for found in again.values() for seconds in found],
    )


def _overlaps(line: Sequence[Run]) -> bool:
    ordered = sorted(line, key=lambda run: run.start)
    return any(one.end is None or other.start < one.end for one, other in pairwise(ordered))


def _out_of_order(runs: Mapping[str, Sequence[Run]], files: Mapping[str, SourceFile]) -> list[str]:
    """Return jobs that were started before the job ahead of them in their package had its last complete run behind it."""
    wrong, done_at = [], dict[str, float]()
    for token, file in files.items():
        line = runs.get(token, [])
        if line and min(run.start for run in line) < done_at.get(file.package, 0.0):
            wrong.append(token)
        ends = [run.end for run in line if run.is_complete and run.end is not None]
        done_at[file.package] = max([done_at.get(file.package, 0.0), *ends])
    return wrong
