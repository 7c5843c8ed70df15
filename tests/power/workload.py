"""A day in a pizza shop, every answer of the real store noted: what the crash images are made of.

    alone ──▶ one call after the other: submit, claim, settle, retry, cancel, reopen, expire, a worker's death, backup, …
    crowd ──▶ threads and coroutines whose commits are shared, a worker among them
    night ──▶ the store is closed, opened again, pruned

The log of SQLite is moved every few dozen pages and not every thousand, so that it starts again from its front many times
in a short day. That number is the only thing that differs from a store in production.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Coroutine, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from random import Random
from typing import Any, Final, TypeVar
from unittest import mock

from rota.app.blocking import drive
from rota.model.job import ClaimedJob, NewJob
from rota.model.limits import SLOT_COUNT
from rota.model.outcome import Failure, Kind, Outcome
from rota.model.slot import hash16
from rota.model.state import Final as FinalState
from rota.runtime.entropy import SystemEntropy
from rota.store.port import Blame, NewNode, NewWorker
from rota.store.sqlite import checkpoint
from rota.store.sqlite.bulk import fetch
from rota.store.sqlite.store import SqliteStore
from rota.store.statements import load
from rota.testing.clock import ManualClock
from tests.power.logging_vfs import Log
from tests.power.promises import ABSENT, Look, Promises, Step, finished_look, live_look

T = TypeVar("T")
SQL = load("sqlite")

QUEUE: Final = "ovens"
TASKS: Final = ("bake", "box")
SLOTS: Final = tuple(range(SLOT_COUNT))
_KEYS: Final = ("anna", "bert", "carl", "dora", None, None, None)
_BURNT: Final = Failure("BurntError", "it is black", "Traceback: bake() at 300 degrees")
_KILLED: Final = Failure("WorkerCrashed", "killed by signal 9")
_SECOND_US: Final = 1_000_000
_HELD: Final = live_look(0, is_held=True)
_TWO_DAYS_S: Final = 2 * 86_400
_CALLERS: Final = 3


@dataclass(frozen=True)
class Copy:
    """A backup: its name, and between which places of the log it was made; ``acked`` is ``None`` if it was not finished."""

    name: str
    begun: int
    acked: int


@contextmanager
def short_log(pages: int = 24) -> Iterator[None]:
    """Move SQLite's log whenever it has so many pages; above three times as many with the door closed."""
    with mock.patch.multiple(checkpoint, _PAGES_LEAST=pages, _PAGES_MOST=pages, _PAGES_LONG=3 * pages):
        yield


class Shop:
    """The store, everybody who uses it, and what they were told.

    Args:
        path: The store's file.
        log: What happens below it.
        seed: Where chance comes from.
        promises: What is promised already; from nothing if not given.
        clock: Time that goes on from an earlier shop.
        durability: As for the store.
    """

    def __init__(
        self,
        path: str,
        log: Log,
        seed: str,
        *,
        promises: Promises | None = None,
        clock: ManualClock | None = None,
        durability: str = "full",
    ) -> None:
        self.promises = promises or Promises()
        self.copies: list[Copy] = []
        self.clock = clock or ManualClock()
        self._path, self._log, self._durability = path, log, durability
        self._chance = Random(seed)
        self._entropy = SystemEntropy(self.clock)
        self._held: dict[bytes, ClaimedJob] = {}
        self._claims: dict[int, set[bytes]] = {}
        self._known: list[bytes] = []
        self._ended: list[bytes] = []
        self._names = 0
        self._open()
        if promises is not None:
            self._inherit()

    # ── coming and going ─────────────────────────────────────────────────────────────────────────────────────────────

    def _open(self) -> None:
        self._store = SqliteStore.open(self._path, clock=self.clock, entropy=self._entropy, durability=self._durability)
        self._inline = self._store.inline()
        queues, tasks = drive(self._inline.intern([QUEUE], TASKS))
        self._queue_id, self._task_ids = queues[QUEUE], sorted(tasks.values())
        self._node = drive(self._inline.register_node(NewNode(f"mitte-{self._chance.getrandbits(64):x}", "", "{}"))).id
        self._hire()

    def _hire(self) -> None:
        self._names += 1
        worker = NewWorker(self._node, f"mitte/{self._names}", f"proof-{self._names}", [QUEUE], TASKS)
        self._worker = drive(self._inline.register_worker(worker)).id

    def _inherit(self) -> None:
        """Close the workers of before the crash and put back what they held."""
        for worker in drive(self._inline.membership()).workers:
            if worker.id != self._worker:
                drive(self._inline.close_worker(worker.id))
        for worker in drive(self._inline.closed_workers_with_jobs()):
            begun = self._log.now
            back = drive(self._inline.release(worker.id, Blame((), _KILLED)))
            looks = {token: self.promises.look_of(token) & ~_HELD for token in back.tokens}
            self.promises.begin(begun, looks).acked = self._log.now

    def close(self) -> None:
        """Close the store; SQLite moves its log into the file and removes it."""
        drive(self._inline.close())

    def night(self) -> None:
        """Back up, close, open again two days later, and remove what is old."""
        self._back_up()
        self._worker_dies()
        self.close()
        self.clock.advance(_TWO_DAYS_S)
        self._open()
        now = self.clock.now_us()
        settled_before = now - 86_400 * _SECOND_US
        old = self._peek("prunable", (settled_before, b"\xff" * 16, 5_000, 10_000, now))
        self._ended = [token for token in self._ended if token not in {row[1] for row in old}]
        self._call({row[1]: ABSENT for row in old}, self._inline.prune(settled_before))

    # ── one call after the other ─────────────────────────────────────────────────────────────────────────────────────

    def alone(self, calls: int) -> None:
        """Make so many calls, drawn by chance."""
        what = [
            (self._submit_some, 18), (self._claim_some, 18), (self._settle_some, 20), (self._cancel_one, 6),
            (self._reopen_one, 6), (self._expire, 3), (self._submit_again, 3), (self._settle_stale, 3),
            (self._worker_dies, 3), (self._back_up, 1),
        ]  # fmt: skip
        doers, weights = zip(*what, strict=True)
        for do in self._chance.choices(doers, weights, k=calls):
            do()
            if self._chance.random() < 0.3:
                self.clock.advance(self._chance.uniform(0, 2))

    def _call(self, looks: Mapping[bytes, Look], work: Coroutine[Any, Any, T]) -> tuple[Step, T]:
        step = self.promises.begin(self._log.now, looks)
        reply = drive(work)
        step.acked = self._log.now
        return step, reply

    def _peek(self, statement: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        return self._store._desk.reader.call_inline(lambda db: fetch(db, SQL[statement], values))

    def jobs(self, count: int, chance: Random, *, is_late: bool = False) -> list[NewJob]:
        """Make jobs, some with a key, some for later, some with more payload than a page holds."""
        made = []
        now = self.clock.now_us()
        for _ in range(count):
            token, key = self._entropy.token(), chance.choice(_KEYS)
            due_at = now + chance.randrange(1, 60) * _SECOND_US if chance.random() < 0.15 else None
            made.append(
                NewJob(
                    token,
                    QUEUE,
                    chance.choice(TASKS),
                    b'"%s"' % (b"x" * chance.choice((20, 200, 200, 6_000))),
                    hash16(key, token),
                    key,
                    priority=chance.choice((0, 0, 0, 5)),
                    due_at=now + 3_600 * _SECOND_US if is_late else due_at,
                    expires_at=now + 3 * _SECOND_US if chance.random() < 0.1 and not is_late else None,
                    is_fresh=chance.random() < 0.8,
                )
            )
        return made

    def _submit_some(self) -> None:
        jobs = self.jobs(self._chance.choice((1, 1, 1, 3, 12)), self._chance)
        self._call({job.token: live_look(0) for job in jobs}, self._inline.submit(jobs))
        self._known += [job.token for job in jobs]

    def _submit_again(self) -> None:
        row = drive(self._inline.find(self._chance.choice(self._known))) if self._known else None
        if row is not None:
            again = NewJob(row.token, row.queue, row.task, row.payload, hash16(row.key, row.token), row.key)
            _, reply = self._call({}, self._inline.submit([again]))
            assert reply.duplicates == {row.token}

    def _claim_some(self) -> None:
        begun = self._log.now
        limit = self._chance.choice((1, 4, 20))
        claim = drive(self._inline.claim(self._worker, self._queue_id, SLOTS, limit, tasks=self._task_ids))
        self._claimed(begun, claim.jobs)

    def _claimed(self, begun: int, jobs: Sequence[ClaimedJob]) -> None:
        looks = {job.token: live_look(job.fence, is_held=True, is_asked=job.cancel_asked) for job in jobs}
        # Which jobs they are is known only now; that they may have been claimed, from the beginning of the call.
        self.promises.begin(begun, looks).acked = self._log.now
        for job in jobs:
            self._held[job.token] = job
            self._claims.setdefault(job.claim_no, set()).add(job.token)

    def _settle_some(self) -> None:
        jobs = list(self._held.values())
        self._settle(self._chance.sample(jobs, self._chance.randint(0, len(jobs))), self._chance, tuple(Kind))

    def _settle(self, jobs: Sequence[ClaimedJob], chance: Random, kinds: Sequence[Kind]) -> None:
        weights = [6 if kind is Kind.SUCCEEDED else 1 for kind in kinds]
        outcomes = [self._outcome(job, chance.choices(kinds, weights)[0], chance) for job in jobs]
        looks = {outcome.token: self._look_after(outcome) for outcome in outcomes}
        done = self._done_claims([job.token for job in jobs])
        _, reply = self._call(looks, self._inline.settle(self._worker, outcomes, done))
        assert not reply.stale
        self._ended += [outcome.token for outcome in outcomes if outcome.kind.is_final]

    def _done_claims(self, tokens: Collection[bytes]) -> list[int]:
        for token in tokens:
            self._claims[self._held.pop(token).claim_no].discard(token)
        done = [no for no, left in self._claims.items() if not left]
        for no in done:
            del self._claims[no]
        return done

    def _outcome(self, job: ClaimedJob, kind: Kind, chance: Random) -> Outcome:
        outcome = Outcome(job.seq, job.token, job.fence, kind, started_at=self.clock.now_us())
        if kind is Kind.SUCCEEDED:
            outcome.result = b'"baked"' * chance.choice((1, 1, 1, 900))
        if kind in (Kind.FAILED, Kind.RETRY):
            outcome.failure = _BURNT
        if kind in (Kind.RETRY, Kind.SNOOZE):
            outcome.due_at = self.clock.now_us() + chance.randrange(5) * _SECOND_US
        return outcome

    def _look_after(self, outcome: Outcome) -> Look:
        if outcome.kind.is_final:
            return finished_look(outcome.kind, outcome.fence)
        return live_look(outcome.fence, is_asked=self._is_asked(outcome.token))

    def _is_asked(self, token: bytes) -> bool:
        return bool(self.promises.look_of(token) & 1)

    def _settle_stale(self) -> None:
        if self._held:
            job = self._chance.choice(list(self._held.values()))
            late = Outcome(job.seq, job.token, job.fence - 1, Kind.SNOOZE, due_at=0)
            if job.fence > 1:
                self._call({}, self._inline.settle(self._worker, [late]))

    def _cancel_one(self) -> None:
        if not self._known:
            return
        token = self._chance.choice(self._known)
        row = drive(self._inline.find(token))
        looks: dict[bytes, Look] = {}
        if token in self._held:
            looks[token] = live_look(self._held[token].fence, is_held=True, is_asked=True)
        elif row is not None and not row.state.is_final:
            looks[token] = finished_look(FinalState.CANCELLED, row.fence)
            self._ended.append(token)
        self._call(looks, self._inline.cancel(token))

    def _reopen_one(self) -> None:
        row = (
            drive(self._inline.find(self._ended.pop(self._chance.randrange(len(self._ended))))) if self._ended else None
        )
        if row is not None and row.state != FinalState.SUCCEEDED.state:
            self._call({row.token: live_look(row.fence)}, self._inline.reopen(row.token))

    def _expire(self) -> None:
        late = self._peek("expirable", (self.clock.now_us(), 1_000))
        looks = {token: finished_look(FinalState.EXPIRED, fence) for _, token, fence in late}
        self._call(looks, self._inline.expire())
        self._ended += looks

    def _worker_dies(self) -> None:
        """Close the worker, release what it held, and hire another: three calls, each with its own commit."""
        drive(self._inline.close_worker(self._worker))
        looks = {job.token: live_look(job.fence, is_asked=self._is_asked(job.token)) for job in self._held.values()}
        running = self._chance.sample(sorted(self._held), min(1, len(self._held)))
        self._call(looks, self._inline.release(self._worker, Blame(running, _KILLED)))
        self._held.clear()
        self._claims.clear()
        self._hire()

    def _back_up(self) -> None:
        begun, name = self._log.now, f"copy-{len(self.copies)}.db"
        drive(self._inline.backup(f"{self._log.folder}/{name}"))
        self.copies.append(Copy(name, begun, self._log.now))

    # ── all at once ──────────────────────────────────────────────────────────────────────────────────────────────────

    def crowd(self, rounds: int) -> None:
        """Let threads, coroutines and a worker share commits; return when all of them have had their answers."""
        seeds = [self._chance.getrandbits(32) for _ in range(_CALLERS + 3)]
        with ThreadPoolExecutor(_CALLERS + 3) as threads:
            callers = [threads.submit(self._caller, Random(seed), rounds) for seed in seeds[:_CALLERS]]
            callers.append(threads.submit(lambda: asyncio.run(self._callers_in_a_loop(Random(seeds[-1]), rounds))))
            callers.append(threads.submit(self._canceller, Random(seeds[-2]), rounds))
            worker = threads.submit(self._works, Random(seeds[-3]), rounds)
            for each in (*callers, worker):
                each.result()

    def _caller(self, chance: Random, rounds: int) -> None:
        for _ in range(rounds):
            jobs = self.jobs(chance.choice((1, 1, 2)), chance)
            self._call({job.token: live_look(0) for job in jobs}, self._inline.submit(jobs))

    async def _callers_in_a_loop(self, chance: Random, rounds: int) -> None:
        async def submit(jobs: list[NewJob]) -> None:
            step = self.promises.begin(self._log.now, {job.token: live_look(0) for job in jobs})
            await self._store.submit(jobs)
            step.acked = self._log.now

        for _ in range(rounds):
            await asyncio.gather(*(submit(self.jobs(chance.choice((1, 1, 3)), chance)) for _ in range(6)))

    def _canceller(self, chance: Random, rounds: int) -> None:
        for _ in range(rounds):
            (job,) = self.jobs(1, chance, is_late=True)
            self._call({job.token: live_look(0)}, self._inline.submit([job]))
            self._call({job.token: finished_look(FinalState.CANCELLED, 0)}, self._inline.cancel(job.token))

    def _works(self, chance: Random, rounds: int) -> None:
        for _ in range(2 * rounds):
            begun = self._log.now
            claim = drive(self._inline.claim(self._worker, self._queue_id, SLOTS, 6, tasks=self._task_ids))
            self._claimed(begun, claim.jobs)
            self._settle(claim.jobs, chance, (Kind.SUCCEEDED, Kind.FAILED, Kind.SNOOZE, Kind.GIVEN_BACK))
