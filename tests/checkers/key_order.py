"""Truth: the jobs of a key run one at a time, and A before B if A's accept ended before B's began (P5)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from tests.checkers.history import Broken, Cancelled, Found, History, Reopened, Submitted, Submitting
from tests.checkers.runs import Run, by_token, runs_of

TRUTH = "the jobs of a key run one at a time and in order"


@dataclass
class _Job:
    """One job of a key: when its accept began and ended, when it first and last began to run."""

    said: Submitting
    accepted: int | None
    runs: list[Run]
    may_be_passed: bool

    @property
    def first(self) -> int | None:
        return self.runs[0].began if self.runs else None

    @property
    def last(self) -> float:
        return self.runs[-1].began if self.runs else float("inf")


def key_order(history: History) -> list[Broken]:
    """Look for jobs of one key that overlap, or that began before a job which had to go first.

    A job goes first only if its accept is known to have ended before the other's began, so those without a reply bind
    nobody. A delayed job binds nobody either, nor one that was cancelled. Runs after a reopening are left out: its place is
    the last then, also of one that had expired before it was ever run. A job that should have gone first and was never run at
    all is a break too.
    """
    broken: list[Broken] = []
    for (queue, key), jobs in _jobs_by_key(history).items():
        where = f"key {key!r} of {queue}"
        broken += _overlaps(where, jobs)
        broken += _passed(where, jobs)
        broken += _shuffled_batches(where, jobs)
    return broken


def _jobs_by_key(history: History) -> dict[tuple[str, str], list[_Job]]:
    reopened_at: dict[str, int] = {}
    accepted: dict[str, int] = {}
    excused: set[str] = set()
    for event in history:
        if isinstance(event, Reopened):
            reopened_at.setdefault(event.token, event.at)
        elif isinstance(event, Submitted):
            accepted.setdefault(event.token, event.at)
        elif isinstance(event, Cancelled) or (isinstance(event, Found) and event.state in ("cancelled", "expired")):
            excused.add(event.token)
    runs = by_token(run for run in runs_of(history) if run.began < reopened_at.get(run.token, run.began + 1))
    keys: dict[tuple[str, str], list[_Job]] = {}
    seen: set[str] = set()
    for event in history:
        if isinstance(event, Submitting) and event.key is not None and event.token not in seen:
            seen.add(event.token)
            of_job = runs.get(event.token, [])
            lost_its_place = event.token in reopened_at and not of_job
            may_be_passed = event.is_delayed or event.token in excused or lost_its_place
            job = _Job(event, accepted.get(event.token), of_job, may_be_passed)
            keys.setdefault((event.queue, event.key), []).append(job)
    return keys


def _overlaps(where: str, jobs: Iterable[_Job]) -> list[Broken]:
    broken = []
    lived: Run | None = None
    for run in sorted((run for job in jobs for run in job.runs), key=lambda run: run.began):
        if lived is not None and lived.token != run.token and run.began < lived.lived:
            says = f"{where}: {run.token} began while {lived.token} was running on {lived.worker}"
            broken.append(Broken(TRUTH, says))
        if lived is None or run.lived > lived.lived:
            lived = run
    return broken


def _passed(where: str, jobs: Iterable[_Job]) -> list[Broken]:
    """Go back in time over first starts, keeping the earliest accept among the jobs that (last) began after each."""
    jobs = list(jobs)
    binding = sorted(
        (job for job in jobs if job.accepted is not None and not job.may_be_passed), key=lambda job: job.last
    )
    broken: list[Broken] = []
    earliest: _Job | None = None
    for job in sorted((job for job in jobs if job.first is not None), key=lambda job: job.first or 0, reverse=True):
        while binding and binding[-1].last > (job.first or 0):
            later = binding.pop()
            if earliest is None or (later.accepted or 0) < (earliest.accepted or 0):
                earliest = later
        if earliest is not None and (earliest.accepted or 0) < job.said.at:
            says = f"{where}: {job.said.token} began before {earliest.said.token}, which had been accepted before"
            broken.append(Broken(TRUTH, says))
    return broken


def _shuffled_batches(where: str, jobs: Iterable[_Job]) -> list[Broken]:
    batches: dict[str, list[_Job]] = {}
    for job in jobs:
        if job.said.batch and job.accepted is not None and not job.may_be_passed:
            batches.setdefault(job.said.batch, []).append(job)
    return [
        Broken(TRUTH, f"{where}: {after.said.token} began before {before.said.token} of the same batch")
        for batch in batches.values()
        for before, after in pairwise(sorted(batch, key=lambda job: job.said.index))
        if after.first is not None and before.last > after.first
    ]
