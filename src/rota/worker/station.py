"""A registered worker's place of work: its parts, wired, and the news that goes between them.

    wake-ups ─▶ claimer ─▶ hands ─▶ settler ─┬─▶ claimer: next of a key, due again, room
                  ▲                  ▲       └─▶ pace
    ring ─────────┘     given back ──┘

What happens when is in the parts; who begins and ends them is in worker/worker.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from rota.model.job import ClaimedJob
from rota.model.outcome import Outcome
from rota.model.task import TaskSpec
from rota.runtime.clock import Clock
from rota.runtime.entropy import Entropy
from rota.settle.settler import Holdings, Settler, given_back
from rota.store.port import Registered, Settled, Store, Wake
from rota.telemetry.telemetry import Telemetry
from rota.worker.attempt import Attempt
from rota.worker.attempts import Attempts
from rota.worker.claimer import Claimer
from rota.worker.ending import Endings
from rota.worker.hands import Hands
from rota.worker.line import QueueLine
from rota.worker.order import WorkerOrder
from rota.worker.pace import Pace
from rota.worker.rings import RingFollower
from rota.worker.running import Counts, RunningTable
from rota.worker.threads import Threads

GiveBack = Callable[[int, Sequence[Outcome]], Settled]
"""Settles outcomes of a worker from any thread, and returns the store's answer."""


class Station:
    """The parts of one worker.

    Args:
        me: What the store answered when it registered.
        running: Where running jobs are marked; ``None`` when nobody would look.
        give_back: Settles from another thread; ``None`` where that cannot be.
        threads: Makes threads.
        recycle: Called when a ``def`` handler did not come back: this process must be replaced.

    Attributes:
        given_back: Jobs that were given back so far.
    """

    def __init__(
        self,
        store: Store,
        me: Registered,
        specs: Mapping[str, TaskSpec],
        order: WorkerOrder,
        *,
        running: RunningTable | None,
        clock: Clock,
        entropy: Entropy,
        telemetry: Telemetry,
        give_back: GiveBack | None,
        threads: Threads,
        recycle: Callable[[], None],
    ) -> None:
        self._me = me
        self._running = running
        self._telemetry = telemetry
        self._give_back = give_back
        self._recycle = recycle
        self._has_lost = False
        self._pace = Pace()
        self.given_back = 0
        self.lines = [QueueLine(queue_id, name) for name, queue_id in me.queue_ids.items()]
        self.holdings = Holdings()
        self.endings = Endings(me.name, clock=clock, entropy=entropy, telemetry=telemetry)
        self.settler = Settler(
            store, me.id, me.name, self.holdings, telemetry=telemetry, entropy=entropy, settled=self._settled
        )
        self.attempts = Attempts(
            {task_id: specs[name] for name, task_id in me.task_ids.items()},
            {queue_id: name for name, queue_id in me.queue_ids.items()},
            running=running,
            settler=self.settler,
            endings=self.endings,
            clock=clock,
            telemetry=telemetry,
            timeout_grace_s=order.timeout_grace_s,
            overrun=self._overran,
        )
        self.hands = Hands(
            order.concurrency,
            self.attempts,
            settler=self.settler,
            clock=clock,
            wants_more=self._wants_more,
            threads=threads,
        )
        self.rings = RingFollower(
            store, me.id, me.name, self.lines, telemetry=telemetry, entropy=entropy, changed=self._wants_more
        )
        self.claimer = Claimer(
            store,
            me.id,
            me.name,
            self.lines,
            list(me.task_ids.values()),
            hands=self.hands,
            holdings=self.holdings,
            pace=self._pace,
            clock=clock,
            entropy=entropy,
            telemetry=telemetry,
            affinity_wait_us=int(order.affinity_wait_s * 1e6),
            epoch_seen=self.rings.epoch_seen,
            give_back=self.put_back,
            counted=self._counted,
        )

    # ── news ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    def heard(self, wake: Wake) -> None:
        """Take a wake-up."""
        if wake.woken is None or wake.woken:
            self.claimer.heard(wake.woken, wake.from_place, is_staged=wake.is_staged)
        for token in wake.cancels:
            if (job := self.holdings.jobs.get(token)) is not None:
                self.hands.cancel(job)
        if wake.is_epoch:
            self.rings.look_soon()

    def _settled(self, answer: Settled, batch: Sequence[Outcome]) -> None:
        """After a settle: the next jobs of its keys may be claimed, and retries fall due."""
        last = batch[-1]
        job = self.holdings.jobs.get(last.token)
        if job is not None and last.started_at is not None and last.ended_at is not None:
            self._pace.ran(job.task_id, max(0, last.ended_at - last.started_at))
        if answer.woken:
            self.claimer.heard(answer.woken, is_staged=not answer.skipped)
        for outcome in batch:
            if outcome.due_at is not None:
                self.claimer.note_due(outcome.due_at)

    def _wants_more(self) -> None:
        self.claimer.nudge()

    def _counted(self) -> None:
        """Show others what this worker has counted so far."""
        if self._running is not None:
            counters = self._telemetry.counters
            self._running.show(Counts(counters["claims.own"], counters["claims.stolen"], counters["hands.idle_us"]))

    # ── what goes back ───────────────────────────────────────────────────────────────────────────────────────────────

    def put_back(self, jobs: Sequence[ClaimedJob], why: str) -> None:
        """Put jobs that were not started back to their places."""
        if jobs:
            self.given_back += len(jobs)
            self.settler.give_back(jobs)
            self._telemetry.emit("jobs.given_back", worker=self._me.name, jobs=len(jobs), why=why)

    def loop_blocked(self, seconds: float) -> None:
        """Give back, on the guard's thread, what cannot start because user code blocks the loop."""
        assert self._give_back is not None  # noqa: S101
        jobs, loop = self.hands.take_back(), self.hands.loop
        if not jobs:
            return
        taken = [(given_back(job), job.claim_no) for job in jobs]
        try:
            answer = self._give_back(self._me.id, [outcome for outcome, _ in taken])
        except Exception:
            # Whether it was done is not known, so they must not be started here. The loop sees to it once it turns again,
            # and tells what is wrong. Whatever it was: nobody else has these jobs now.
            loop.call_soon_threadsafe(self.put_back, jobs, "the event loop was blocked")
            return
        loop.call_soon_threadsafe(self._gave_back, answer, taken)
        self._telemetry.emit("loop.blocked", worker=self._me.name, seconds=round(seconds, 3), jobs=len(jobs))

    def _gave_back(self, answer: Settled, taken: Sequence[tuple[Outcome, int]]) -> None:
        self.given_back += len(taken)
        self.settler.answered_elsewhere(answer, taken)

    # ── handlers that do not come back ───────────────────────────────────────────────────────────────────────────────

    def _overran(self, attempt: Attempt) -> None:
        """Recycle, since a handler did not come back: without its own word it can only be settled once this process is gone."""
        self._has_lost = True
        self._telemetry.emit(
            "worker.recycled", worker=self._me.name, why=f"a job of task {attempt.spec.name} overran its time limit"
        )
        self._recycle()
        self.hands.has_lost()

    def leave_will(self) -> None:
        """Write down that handlers which did not come back have failed, for when this process is gone."""
        if self._has_lost and self._running is not None:
            will = []
            for attempt in self.attempts.lost():
                attempt.is_given_back = True  # Nobody asks any more how it ends.
                will.append(self.endings.of_error(attempt, self.endings.time_limit(attempt)))
            self._running.leave_will(will)
