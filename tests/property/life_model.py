"""What the store promises, as a few dictionaries: the model that the life of jobs is compared with."""

from __future__ import annotations

from dataclasses import dataclass, field

from rota.model.job import JobRow, NewJob
from rota.model.outcome import Kind, Outcome
from rota.model.state import Final, State

RETENTION_OF_TOKENS_US = 25 * 3_600 * 1_000_000


@dataclass
class ModelJob:
    """One accepted job.

    Attributes:
        place: Its number in the line; higher again after a reopening.
        is_staged: It is known to be among those whose turn may come: it was never delayed, or a claim has looked since it
            fell due.
        recorded: The outcome that was recorded for each fence.
        reopened_under: The fences that it had when it was put back.
        is_reopened: Put back and not claimed since: its fence may have been raised by that.
    """

    new: NewJob
    place: int
    due_at: int | None
    fence: int = 0
    attempts: int = 0
    crashes: int = 0
    holder: str | None = None
    is_alone: bool = False
    is_staged: bool = True
    is_reopened: bool = False
    cancel_asked: bool = False
    final: State | None = None
    settled_at: int = 0
    recorded: dict[int, Outcome] = field(default_factory=dict)
    reopened_under: set[int] = field(default_factory=set)

    @property
    def key(self) -> str | None:
        """Its key."""
        return self.new.key

    @property
    def is_live(self) -> bool:
        """Whether it is still to be done."""
        return self.final is None

    def state(self, now: int) -> State:
        """Return what a person should be told."""
        if self.final is not None:
            return self.final
        if self.holder is not None:
            return State.RUNNING
        return State.SCHEDULED if self.due_at is not None and self.due_at > now else State.WAITING

    def is_due(self, now: int) -> bool:
        """Whether it could be run as far as time goes."""
        return self.is_live and self.holder is None and (self.due_at is None or self.due_at <= now)

    def end(self, state: State, now: int) -> None:
        """Finish it."""
        self.final, self.settled_at, self.holder = state, now, None

    def settle(self, outcome: Outcome, now: int) -> None:
        """Record what became of its run."""
        self.recorded[outcome.fence] = outcome
        self.holder = None
        kind = outcome.kind
        self.attempts += kind in (Kind.RETRY, Kind.FAILED)
        if kind != Kind.GIVEN_BACK:
            self.crashes, self.is_alone = 0, False
        if kind.is_final:
            self.end(Final(kind).state, now)
        elif kind != Kind.GIVEN_BACK:
            self.due_at = outcome.due_at
            self.is_staged = outcome.due_at is None or outcome.due_at <= now

    def release(self, *, is_blamed: bool) -> None:
        """Put it back after its holder's death."""
        self.holder = None
        self.crashes += is_blamed
        self.is_alone = self.is_alone or self.crashes >= 2

    def reopen(self, place: int) -> None:
        """Put it back by hand."""
        self.place, self.final, self.due_at = place, None, None
        self.reopened_under.add(self.fence)
        self.attempts = self.crashes = 0
        self.is_alone = self.cancel_asked = False
        self.is_staged = self.is_reopened = True


class Model:
    """All accepted jobs and whose turn it is in each key."""

    def __init__(self) -> None:
        self.jobs: dict[bytes, ModelJob] = {}
        self.heads: dict[str, bytes] = {}
        self.pruned = 0
        self._places = 0

    def next_place(self) -> int:
        """Return the last place in the line."""
        self._places += 1
        return self._places

    def accept(self, job: NewJob, now: int) -> None:
        """Take in a job, once."""
        if job.token not in self.jobs:
            is_staged = job.due_at is None or job.due_at <= now
            self.jobs[job.token] = ModelJob(job, self.next_place(), job.due_at, is_staged=is_staged)

    def live(self) -> list[ModelJob]:
        """Return what is not done."""
        return [job for job in self.jobs.values() if job.is_live]

    def head_after_claim(self, key: str, now: int) -> ModelJob | None:
        """Return whose turn it must be once a claim has staged all that is due."""
        held = self.heads.get(key)
        if held is not None and self.jobs[held].is_live:
            return self.jobs[held]
        due = [job for job in self.live() if job.key == key and job.is_due(now)]
        return min(due, key=lambda job: job.place, default=None)

    def claimable(self, now: int) -> list[ModelJob]:
        """Return what a claim of everything must find, in its order."""
        heads = [self.head_after_claim(key, now) for key in {job.key for job in self.live() if job.key is not None}]
        ready = [job for job in self.live() if job.key is None] + [job for job in heads if job is not None]
        found = [job for job in ready if job.is_due(now) and not job.is_alone]
        return sorted(found, key=lambda job: (-job.new.priority, job.place))

    def stage(self, now: int) -> None:
        """A claim has looked at every slot: what is due has its place in the line, and every key its head."""
        for key in {job.key for job in self.live() if job.key is not None}:
            head = self.head_after_claim(key, now)
            if head is not None:
                self.heads[key] = head.new.token
        for job in self.live():
            if job.is_due(now):
                job.due_at, job.is_staged = None, True

    def prune(self, settled_before: int, now: int) -> int:
        """Forget old finished jobs; return how many."""
        gone = [
            token
            for token, job in self.jobs.items()
            if job.final is not None
            and job.settled_at < settled_before
            and int.from_bytes(token[:6], "big") * 1_000 < now - RETENTION_OF_TOKENS_US
        ]
        for token in gone:
            del self.jobs[token]
        self.pruned += len(gone)
        return len(gone)

    def compare(self, rows: list[JobRow], now: int, *, was_claimed: bool) -> None:
        """Assert that the store says the same of every job, and that turns have only moved as they may."""
        assert sorted(row.token for row in rows) == sorted(self.jobs)
        for row in rows:
            self._compare_row(self.jobs[row.token], row, now)
        self._compare_heads([row for row in rows if row.is_head], now, was_claimed=was_claimed)

    def _compare_row(self, job: ModelJob, row: JobRow, now: int) -> None:
        assert row.state == job.state(now)
        if job.is_reopened:
            assert row.fence >= job.fence
        else:
            assert row.fence == job.fence
        if job.is_live:
            seen = (row.attempts, row.crashes, row.holder, row.is_alone, row.cancel_asked)
            assert seen == (job.attempts, job.crashes, job.holder, job.is_alone, job.cancel_asked)
        elif job.final in (State.SUCCEEDED, State.FAILED) and job.fence in job.recorded:
            assert row.attempts == job.attempts + (job.final == State.SUCCEEDED)

    def _compare_heads(self, heads: list[JobRow], now: int, *, was_claimed: bool) -> None:
        keys = [row.key for row in heads if row.key is not None]
        assert len(keys) == len(set(keys)) == len(heads), "a key has two heads"
        seen = {row.key: row.token for row in heads if row.key is not None}
        for key in {job.key for job in self.jobs.values() if job.key is not None}:
            before, after = self.heads.get(key), seen.get(key)
            if before is not None and before in self.jobs and self.jobs[before].is_live:
                assert after == before, "a head was displaced"
                continue
            line = [job for job in self.live() if job.key == key and job.is_due(now)]
            staged = [job for job in line if job.is_staged]
            if after is None:
                assert not (staged and was_claimed), "a key with a due job has no head"
                self.heads.pop(key, None)
            else:
                assert self.jobs[after] in line
                assert all(self.jobs[after].place <= job.place for job in staged), "a head was taken out of order"
                self.heads[key] = after
