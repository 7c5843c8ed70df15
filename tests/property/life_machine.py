"""The life of jobs as a state machine: any order of calls, with lost replies, must keep what is promised.

After each step the store is compared with a model of a few dictionaries (``life_model.py``), and at the end the checkers that
judge real clusters judge what happened here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any, TypeAlias, TypeVar

import hypothesis.strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from rota.errors import OutcomeUnknownError
from rota.model.job import ClaimedJob
from rota.model.outcome import Kind, Outcome
from rota.model.state import Final, State
from rota.store.port import Blame, JobFilter, Store
from rota.store.sqlite.store import SqliteStore
from rota.testing.clock import ManualClock
from tests.contract.outcomes import BURNT
from tests.contract.shop import KILLED, OVENS, CountingEntropy, Shop, Worker
from tests.faults import Fault, faulty_store
from tests.property.life_model import Model
from tests.property.life_parts import NextCallPlan, PastRun
from tests.property.life_story import Story

T = TypeVar("T")
Order: TypeAlias = tuple[str | None, int | None, int]
KEYS = st.sampled_from([None, "mitte", "wedding", "moabit"])
DELAYS = st.sampled_from([None, None, None, 5, 60])
PRIORITIES = st.sampled_from([0, 0, 0, -100, 100])
ORDERS = st.tuples(KEYS, DELAYS, PRIORITIES)
FAULTS = st.sampled_from([None, None, None, Fault.LOST_REPLY, Fault.LOST_CALL])
KINDS = st.sampled_from([Kind.SUCCEEDED, Kind.SUCCEEDED, *Kind])
PICKS = st.integers(0, 20)
WORKERS = 3
ALL = 15
"""As a mask over what a worker holds: all of it was running."""


class JobLife(RuleBasedStateMachine):
    """Jobs are submitted, claimed, settled, lost, rescued, cancelled, reopened, pruned; time passes."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.clock = ManualClock()
        self.plan = NextCallPlan()
        self.inner = self.open_store()
        self.shop = Shop(faulty_store(self.inner, self.plan), self.clock, CountingEntropy(self.clock))
        self.model = Model()
        self.workers: list[Worker] = []
        self.running: list[PastRun] = []
        self.past: list[PastRun] = []
        self.story = Story()
        self.was_claimed = False

    # The step's tools.

    def open_store(self) -> Store:
        """Return an empty store."""
        return SqliteStore.open(":memory:", clock=self.clock, entropy=CountingEntropy(self.clock))

    def now(self) -> int:
        """Return the store's time."""
        return self.clock.now_us()

    def answer(self, call: Coroutine[Any, Any, T]) -> T:
        """Return what a call returns. The runner's own ``run`` sets and resets the signals, which takes longer than a call."""
        return self.runner.get_loop().run_until_complete(call)

    def do(self, call: Callable[[], Coroutine[Any, Any, T]], fault: Fault | None = None) -> T:
        """Make a call; if its reply is lost, make it again, as the port allows."""
        self.plan.armed = fault
        try:
            return self.answer(call())
        except OutcomeUnknownError:
            return self.answer(call())
        finally:
            self.plan.armed = None

    def hire(self, *, is_alone: bool = False) -> Worker:
        """Register a worker."""
        return self.answer(self.shop.worker(is_alone=is_alone))

    @initialize(wanted=st.lists(ORDERS, min_size=4, max_size=10))
    def open_the_shop(self, wanted: list[Order]) -> None:
        """Some workers and some jobs are there from the start."""
        self.workers = [self.hire() for _ in range(WORKERS)]
        self.submit(wanted, None)

    # What users do.

    @rule(wanted=st.lists(ORDERS, min_size=1, max_size=4), fault=FAULTS)
    def submit(self, wanted: list[Order], fault: Fault | None) -> None:
        """Hand in a batch; whatever happened to the reply, it is in once."""
        jobs = [self.shop.job(key, delay=delay, priority=priority) for key, delay, priority in wanted]
        self.story.submitting(jobs)

        reply = self.do(lambda: self.shop.store.submit(jobs), fault)

        assert reply.duplicates == ({job.token for job in jobs} if fault is Fault.LOST_REPLY else set())
        for job in jobs:
            self.model.accept(job, self.now())
            self.story.submitted(job)

    @precondition(lambda self: self.model.jobs)
    @rule(pick=PICKS)
    def submit_again(self, pick: int) -> None:
        """A repeat of a known job changes nothing, whatever has become of it."""
        job = _picked(list(self.model.jobs.values()), pick)

        reply = self.do(lambda: self.shop.store.submit([job.new]))

        assert reply.duplicates == {job.new.token}

    @precondition(lambda self: self.model.jobs)
    @rule(pick=PICKS, fault=FAULTS)
    def cancel(self, pick: int, fault: Fault | None) -> None:
        """Take one back: at once if nobody runs it."""
        job = _picked(list(self.model.jobs.values()), pick)
        before = job.state(self.now())

        reply = self.do(lambda: self.shop.store.cancel(job.new.token), fault)

        is_told_twice = fault is Fault.LOST_REPLY and before in (State.WAITING, State.SCHEDULED)
        assert reply.was == (State.CANCELLED if is_told_twice else before)
        self.story.cancelled(job.new.token, before)
        if before == State.RUNNING:
            job.cancel_asked = True
        elif not before.is_final:
            job.end(State.CANCELLED, self.now())

    @precondition(lambda self: self.reopenable())
    @rule(pick=PICKS, is_repeated=st.booleans())
    def reopen(self, pick: int, is_repeated: bool) -> None:
        """Put one back that did not succeed; its last settle may be repeated just afterwards."""
        job = _picked(self.reopenable(), pick)

        self.do(lambda: self.shop.store.reopen(job.new.token))

        job.reopen(self.model.next_place())
        self.story.reopened(job.new.token)
        runs = [number for number, run in enumerate(self.past) if run.job.token == job.new.token]
        if is_repeated and runs:
            self.settle_late(runs[-1], Kind.FAILED, True)

    def reopenable(self) -> list[Any]:
        """Return what can be put back."""
        return [job for job in self.model.jobs.values() if job.final not in (None, State.SUCCEEDED)]

    # What workers do.

    @rule(who=st.integers(0, WORKERS - 1), limit=st.sampled_from([1, 2, 100]), fault=FAULTS)
    def claim(self, who: int, limit: int, fault: Fault | None) -> None:
        """Take jobs; if the reply was lost, find them by looking at what is held."""
        worker = self.workers[who]
        expected = self.model.claimable(self.now())
        known = {run.job.token for run in self.running}

        self.plan.armed = fault
        try:
            claimed = self.answer(worker.claim(limit))
        except OutcomeUnknownError:
            held = self.answer(self.shop.store.held(worker.id))
            claimed = [job for job in held if job.token not in known]
            worker.adopt(claimed)
        finally:
            self.plan.armed = None

        if fault is Fault.LOST_CALL:
            assert claimed == []
            return
        places = [(-job.priority, job.seq) for job in claimed]
        assert fault is Fault.LOST_REPLY or places == sorted(places)
        assert len(claimed) == min(limit, len(expected))
        assert {job.token for job in claimed} <= {job.new.token for job in expected}
        self.model.stage(self.now())
        self.was_claimed = True
        for job in claimed:
            self._start(worker, job)

    def _start(self, worker: Worker, claimed: ClaimedJob) -> None:
        job = self.model.jobs[claimed.token]
        if job.is_reopened:
            assert claimed.fence > job.fence
        else:
            assert claimed.fence == job.fence + 1
        assert (claimed.attempts, claimed.crashes, claimed.cancel_asked) == (
            job.attempts,
            job.crashes,
            job.cancel_asked,
        )
        job.fence, job.holder, job.is_reopened = claimed.fence, worker.name, False
        self.running.append(PastRun(worker, claimed, None))
        self.story.started(claimed, worker.id)

    @precondition(lambda self: self.model.claimable(self.now()))
    @rule(who=st.integers(0, WORKERS - 1), kind=KINDS)
    def claim_and_settle(self, who: int, kind: Kind) -> None:
        """One job from its claim to its end."""
        self.claim(who, 1, None)
        self.settle(len(self.running) - 1, kind, 5, None)

    @precondition(lambda self: self.running)
    @rule(pick=PICKS, kind=KINDS, delay=st.sampled_from([0, 5, 60]), fault=FAULTS)
    def settle(self, pick: int, kind: Kind, delay: int, fault: Fault | None) -> None:
        """Hand in the outcome of a run that holds its job: never refused, also when the reply is lost."""
        run = _picked(self.running, pick)
        outcome = self._outcome(run.job, kind, delay)

        reply = self.do(lambda: run.worker.settle(outcome), fault)

        assert list(reply.stale) == []
        self._record(run, outcome)
        self.running.remove(run)

    @precondition(lambda self: self.past)
    @rule(pick=PICKS, kind=KINDS, is_repeat=st.booleans())
    def settle_late(self, pick: int, kind: Kind, is_repeat: bool) -> None:
        """Hand in an outcome of a run that was given up, or the same once more."""
        run = _picked(self.past, pick)
        is_same = is_repeat and run.settled is not None
        outcome = run.settled if is_repeat and run.settled is not None else self._outcome(run.job, kind, 5)
        job = self.model.jobs.get(run.job.token)
        still_stands = job is not None and job.is_live and job.holder is None and job.fence == run.job.fence
        is_open = still_stands and run.settled is None and job is not None and not job.is_reopened

        reply = self.do(lambda: run.worker.settle(outcome))

        if is_open:
            assert list(reply.stale) == []
            self._record(run, outcome)
            self.past.remove(run)
        elif run.settled is None and not self._may_be_taken_for_a_repeat(outcome):
            assert list(reply.stale) == [(outcome.token, outcome.fence)]
        elif is_same and job is not None and job.recorded.get(outcome.fence) is outcome and self._is_last_word(run):
            assert list(reply.stale) == []

    def _may_be_taken_for_a_repeat(self, outcome: Outcome) -> bool:
        """Return whether the job was ended under this fence meanwhile, by somebody else."""
        job = self.model.jobs[outcome.token]
        is_same_end = job.final is not None and outcome.kind.is_final and job.final == Final(outcome.kind).state
        return is_same_end or outcome.fence in job.reopened_under

    def _is_last_word(self, run: PastRun) -> bool:
        """Return whether nothing has happened to the job since this outcome was recorded."""
        job = self.model.jobs[run.job.token]
        assert run.settled is not None
        if run.settled.kind.is_final:
            return job.final == Final(run.settled.kind).state
        return job.is_live and job.holder is None and job.fence == run.job.fence and not job.is_reopened

    def _outcome(self, job: ClaimedJob, kind: Kind, delay: int) -> Outcome:
        due_at = self.shop.at(delay) if kind in (Kind.RETRY, Kind.SNOOZE) else None
        failure = BURNT if kind in (Kind.RETRY, Kind.FAILED) else None
        return Outcome(job.seq, job.token, job.fence, kind, failure=failure, due_at=due_at)

    def _record(self, run: PastRun, outcome: Outcome) -> None:
        self.model.jobs[outcome.token].settle(outcome, self.now())
        self.past.append(PastRun(run.worker, run.job, outcome))
        if run in self.running:
            self.story.ended(outcome)
        self.story.settled(outcome)

    # What befalls them.

    @rule(who=st.integers(0, WORKERS - 1), running=st.integers(0, ALL), forgives=st.booleans(), fault=FAULTS)
    def lose(self, who: int, running: int, forgives: bool, fault: Fault | None) -> None:
        """A worker dies while some of what it held was running; another takes its place."""
        worker, self.workers[who] = self.workers[who], self.hire()
        held = [run for run in self.running if run.worker is worker]
        blamed = [run.job.token for number, run in enumerate(held) if running >> (number % 4) & 1]
        self.story.killed(worker.id)

        self.do(lambda: self.shop.store.close_worker(worker.id), fault)
        blame = Blame(running=blamed, failure=KILLED, forgives=forgives)
        self.do(lambda: self.shop.release(worker, blame), fault)

        for run in held:
            self.model.jobs[run.job.token].release(is_blamed=run.job.token in blamed and not forgives)
            self.running.remove(run)
            self.past.append(run)

    @precondition(lambda self: self.model.claimable(self.now()))
    @rule(who=st.integers(0, WORKERS - 1), kind=KINDS, deaths=st.sampled_from([1, 2]))
    def kill(self, who: int, kind: Kind, deaths: int) -> None:
        """A job takes one process with it and then ends by itself, or takes two, and is a suspect."""
        for _ in range(deaths):
            self.claim(who, 1, None)
            self.lose(who, ALL, False, None)
        if deaths == 1 and self.model.claimable(self.now()):
            self.claim_and_settle(who, kind)

    @precondition(lambda self: any(job.is_alone and job.is_due(self.now()) for job in self.model.live()))
    @rule(dies=st.booleans(), kind=KINDS)
    def run_a_suspect(self, dies: bool, kind: Kind) -> None:
        """A suspect gets a process of its own; it ends by itself, or takes the process with it."""
        alone = self.hire(is_alone=True)
        (job,) = self.answer(alone.claim_alone())
        self._start(alone, job)
        if dies:
            self._condemn(self.running[-1])
        else:
            self._survive(self.running[-1], kind)
            self.answer(self.inner.close_worker(alone.id))

    def _survive(self, run: PastRun, kind: Kind) -> None:
        outcome = self._outcome(run.job, kind, 5)

        reply = self.do(lambda: run.worker.settle(outcome))

        assert list(reply.stale) == []
        self._record(run, outcome)
        self.running.remove(run)

    def _condemn(self, run: PastRun) -> None:
        token = run.job.token
        self.story.killed(run.worker.id)
        self.answer(self.inner.close_worker(run.worker.id))
        blame = Blame(running=[token], failure=KILLED, condemns=True)

        released = self.do(lambda: self.shop.release(run.worker, blame))

        assert list(released.condemned) == [token]
        job = self.model.jobs[token]
        job.end(State.FAILED, self.now())
        self.running.remove(run)
        self.past.append(run)

    @rule(seconds=st.sampled_from([1, 5, 60]))
    def let_time_pass(self, seconds: int) -> None:
        """Backoffs and delays end."""
        self.clock.advance(seconds)

    @rule(who=st.integers(0, WORKERS - 1))
    def pause_for_a_moment(self, who: int) -> None:
        """While the queue is closed nobody gets anything."""
        self.do(lambda: self.shop.store.set_paused(OVENS, True))
        claimed = self.do(self.workers[who].claim)
        self.do(lambda: self.shop.store.set_paused(OVENS, False))

        assert claimed == []

    @precondition(lambda self: any(not job.is_live for job in self.model.jobs.values()))
    @rule(fault=FAULTS)
    def prune(self, fault: Fault | None) -> None:
        """More than a day later, what was finished before is forgotten."""
        self.clock.advance(timedelta(hours=26))
        before = self.now() - 3_600_000_000

        removed = self.do(lambda: self.shop.store.prune(before), fault)

        expected = self.model.prune(before, self.now())
        assert removed == (0 if fault is Fault.LOST_REPLY else expected)
        self.past = [run for run in self.past if run.job.token in self.model.jobs]

    @precondition(lambda self: self.running)
    @rule()
    def sweep(self) -> None:
        """There is nothing to mend, ever: no call leaves damage behind."""
        swept = self.do(self.shop.store.sweep)

        assert (swept.keys_without_head, swept.jobs_of_closed_workers) == (0, 0)

    # What must hold.

    @invariant()
    def the_store_says_what_the_model_says(self) -> None:
        """Every job is there once, in its state; turns have moved only as they may."""
        rows = list(self.answer(self.inner.jobs(JobFilter(limit=1_000))))
        self.model.compare(rows, self.now(), was_claimed=self.was_claimed)
        self.was_claimed = False

    @invariant()
    def nothing_is_lost_or_made_up(self) -> None:
        """Accepted is live and finished."""
        finished = sum(self.answer(self.inner.finished_counts()).values())
        queues = self.answer(self.inner.queues())
        live = sum(row.waiting + row.scheduled + row.running for row in queues)
        assert (live, finished) == (len(self.model.live()), len(self.model.jobs) - len(self.model.live()))

    def teardown(self) -> None:
        """Let the checkers judge the whole history, then let go."""
        try:
            self._judge()
        finally:
            self.answer(self.inner.close())
            self.runner.close()

    def _judge(self) -> None:
        rows = self.answer(self.inner.jobs(JobFilter(limit=1_000)))
        live = len(self.model.live())
        assert self.story.judge(rows, live=live, finished=len(self.model.jobs) - live) == []


def _picked(things: list[T], pick: int) -> T:
    return things[pick % len(things)]
