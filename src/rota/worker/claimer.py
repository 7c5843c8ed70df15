"""Claim jobs: as many as the hands can use, from the slots that are worth it.

    room in the hands ──▶ own slots ──nothing──▶ others' slots ──nothing──▶ wait for news
                              │                        │
                              └──────── jobs ──────────┴──▶ hands

One claim is on its way at a time. Its reply may be lost: then what the store says this worker holds is *adopted*. That look
also happens once a lease as a sweep, always between two claims, so that a job of a claim on its way is never taken for lost.

Claimed ahead is what will be done soon, going by the past. When the past was wrong, and the next job has not been started
for a while, all that waits goes back, so that others can take it.

Invariants, each with the test that holds it:
    Jobs of a claim whose reply was lost are run.             tests/unit/worker/test_worker.py
    A job is never adopted twice, nor after its settle.       tests/unit/worker/test_worker.py
    A worker takes no more than its hands can use soon.       tests/unit/worker/test_claimer.py
    A worker with room probes all slots that may have work.   tests/unit/worker/test_claimer.py
    A busy, an idle and a paused worker wait; none spins.     tests/unit/worker/test_claimer.py
    A keyed job is taken from another's slot after its task's tests/unit/worker/test_claimer.py
      own affinity wait.
    What falls due in the slots of a worker that is stuck is  tests/unit/worker/test_claimer.py
      run by one that is not.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from rota.errors import NodeClosedError, OutcomeUnknownError, StoreBrokenError, StoreError
from rota.model.job import ClaimedJob
from rota.model.limits import CLAIM_JOBS_MAX
from rota.runtime.clock import Clock
from rota.runtime.entropy import Entropy
from rota.runtime.patience import store_pause_s
from rota.settle.settler import Holdings
from rota.store.port import Claim, Store, Woken
from rota.telemetry.telemetry import Telemetry
from rota.worker.affinity import wait_groups
from rota.worker.hands import Hands
from rota.worker.idle import IdleHands
from rota.worker.line import SWEEP_S, QueueLine
from rota.worker.pace import Pace

HOARD_S = 0.25
"""A job that waits for so long behind running ones, though it was claimed to be started within 50 ms, goes back."""


class Claimer:
    """Claims for one worker.

    Args:
        store: Where jobs come from.
        worker: The worker's incarnation.
        name: Its ring name, for what is told.
        lines: The queues that it serves.
        tasks: Numbers of the tasks that it knows.
        hands: Who runs the jobs.
        holdings: What the worker holds.
        pace: Its recent speed.
        affinity_wait_us: The longest that a keyed job waits for its own worker.
        epoch_seen: Called with the ring epoch of each claim.
        give_back: Puts jobs that were not started back, with the reason in words.
        counted: Called after a claim that brought jobs; the counters have changed.
    """

    def __init__(
        self,
        store: Store,
        worker: int,
        name: str,
        lines: Sequence[QueueLine],
        tasks: Sequence[int],
        *,
        hands: Hands,
        holdings: Holdings,
        pace: Pace,
        clock: Clock,
        entropy: Entropy,
        telemetry: Telemetry,
        affinity_wait_us: int,
        epoch_seen: Callable[[int], None],
        give_back: Callable[[Sequence[ClaimedJob], str], None],
        counted: Callable[[], None] = lambda: None,
    ) -> None:
        self._store = store
        self._worker = worker
        self._name = name
        self._lines = list(lines)
        self._by_id = {line.queue_id: line for line in lines}
        self._tasks = list(tasks)
        self._hands = hands
        self._holdings = holdings
        self._pace = pace
        self._clock = clock
        self._entropy = entropy
        self._telemetry = telemetry
        self._affinity_wait_us = affinity_wait_us
        self._epoch_seen = epoch_seen
        self._give_back = give_back
        self._counted = counted
        self._idle = IdleHands()
        self._looks_elsewhere = 0
        self._next_job: ClaimedJob | None = None
        self._next_since = 0.0
        self._news = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._look_due = False
        self._failures = 0
        self._paused_since: float | None = None
        self._is_stopping = False

    # ── news ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    def nudge(self) -> None:
        """Look again: the hands have room, or something else changed."""
        self._news.set()

    def heard(self, woken: Sequence[Woken] | None, from_place: int = 0, *, is_staged: bool = False) -> None:
        """Take the news that slots have work; ``None`` means "look everywhere, from this place on"."""
        now_s = self._loop.time()
        is_worth_a_look = woken is None
        if woken is None:
            self._idle.heard(now_s, is_own=True)
            for line in self._lines:
                line.heard_everything(from_place, now_s, is_staged=is_staged)
        else:
            for news in woken:
                named = self._by_id.get(news.queue_id)
                if named is None:
                    continue
                is_own = named.heard(news.slot, news.place, is_staged=is_staged)
                if is_own or named.heard_elsewhere(now_s, self._entropy.uniform(0, 1)):
                    is_worth_a_look = True
                self._idle.heard(now_s, is_own=is_own)
        if is_worth_a_look:
            self._news.set()

    def note_due(self, due_at: int) -> None:
        """Remember that a job which this worker ran falls due again then, by its own wall clock."""
        now_s, due_in_us = self._loop.time(), due_at - self._clock.now_us()
        for line in self._lines:
            line.note_due(due_in_us, now_s)
        self._news.set()

    def look_soon(self) -> None:
        """Compare what is held with what the store says, before the next claim."""
        self._look_due = True
        self._news.set()

    def stop(self) -> None:
        """End ``run`` after the claim that is on its way. Cancelling it instead would leave jobs that nobody knows of."""
        self._is_stopping = True
        self._news.set()

    # ── the loop ─────────────────────────────────────────────────────────────────────────────────────────────────────

    async def run(self) -> None:
        """Claim until told to stop.

        Raises:
            NodeClosedError: The worker has been declared dead.
            StoreBrokenError: The store reported a disk error.
        """
        while not self._is_stopping:
            self._news.clear()
            was_idle = not self._hands.busy
            if not await self._round():
                if not self._is_stopping:
                    self._relieve()
                    await self._wait()
            elif was_idle:
                # The hands that have just been woken begin before the next claim is made ready.
                await asyncio.sleep(0)

    async def claim_once(self) -> bool:
        """Claim once for each queue, without waiting for anything. Returns whether that brought jobs."""
        return await self._round()

    async def _round(self) -> bool:
        """Claim once for each queue. Returns whether any brought something."""
        try:
            if self._look_due:
                await self.adopt()
            brought = 0
            for line in self._in_turn():
                brought += await self._claim_for(line)
        except (NodeClosedError, StoreBrokenError):
            raise
        except OutcomeUnknownError as error:
            self._telemetry.emit("claim.unknown", worker=self._name, error=error)
            self._look_due = True
            await self._pause()
            return True
        except StoreError as error:
            await self._failed(error)
            return True
        self._succeeded()
        return brought > 0

    def _in_turn(self) -> list[QueueLine]:
        """Return the queues, each time beginning with another one."""
        self._lines = [*self._lines[1:], *self._lines[:1]]
        return self._lines

    def _room(self) -> int:
        hands = self._hands
        return min(hands.free + self._pace.ahead(hands.ended, hands.busy_ns) - len(hands.todo), CLAIM_JOBS_MAX)

    async def _claim_for(self, line: QueueLine) -> int:
        now_s = self._loop.time()
        brought = 0
        if line.wants_probe(now_s):
            if not self._is_room_worth_it():
                return 0
            brought = await self._claim_own(line)
            while not brought and line.has_suspects(now_s) and self._room() > 0 and not self._is_stopping:
                # The probe was for a part of them only, or there was news meanwhile.
                brought = await self._claim_own(line)
        if brought:
            line.found_own(self._loop.time(), self._entropy.uniform(0, 0.5))
        elif self._is_idle and not line.is_paused and now_s >= line.steal_at:
            began_s = self._loop.time()
            brought = await self._claim_elsewhere(line)
            ended_s = self._loop.time()
            line.looked_elsewhere(brought, ended_s, self._entropy.uniform(0, 0.5), ended_s - began_s)
        return brought

    @property
    def _is_idle(self) -> bool:
        return self._hands.free > 0 and not self._hands.todo

    def _is_room_worth_it(self) -> bool:
        """Whether there is room; a little more of it while there still are jobs to start, since a claim has its price."""
        return self._room() > (self._hands.concurrency // 4 if self._hands.todo else 0)

    async def _claim_own(self, line: QueueLine) -> int:
        room = self._room()
        if room <= 0:
            return 0
        slots, cursors = line.slots.next_probe(room)
        if not slots:
            line.slots.failed()
            return 0
        began_s = self._loop.time()
        try:
            claim = await self._store.claim(
                self._worker,
                line.queue_id,
                slots,
                room,
                tasks=self._tasks,
                cursors=cursors,
                stages=line.slots.unstaged(slots),
                is_loop_idle=not self._hands.busy,
            )
        except BaseException:
            line.slots.failed()
            raise
        line.slots.told(slots, claim.jobs, claim.skipped, is_full=len(claim.jobs) >= room, ranks=claim.ranks)
        ended_s = self._loop.time()
        line.probed(ended_s - began_s, ended_s)
        # From the sending on: the next claim takes as long to get there.
        line.note_due(claim.due_in_us, began_s)
        line.note_skipped(bool(claim.skipped), self._loop.time())
        self._note_paused(line, claim.is_paused)
        idle_us = self._idle.took_own(len(claim.jobs), began_s, ended_s) if claim.jobs else 0
        self._take(claim.jobs, "claims.own", idle_us)
        self._epoch_seen(claim.epoch)
        return len(claim.jobs)

    async def _claim_elsewhere(self, line: QueueLine) -> int:
        """Take what other workers leave lying: keyless jobs, and keyed ones whose own worker is evidently busy."""
        groups = wait_groups(self._pace, self._tasks, self._affinity_wait_us)
        before = self._clock.now_us() - groups[0][0] if groups else 0
        passed = line.slots.own
        while groups and self._is_idle and not self._is_stopping:
            slots = await self._store.ready_elsewhere(line.queue_id, passed, keyed_before=before)
            if not slots or self._room() <= 0 or not self._is_idle:
                break
            # Not always the same first, or tasks with a long wait would never have a turn.
            self._looks_elsewhere += 1
            at = self._looks_elsewhere % len(groups)
            for wait_us, tasks in (*groups[at:], *groups[:at]):
                claim = await self._claim_lying(line, slots, tasks, wait_us)
                if claim.jobs or claim.is_paused:
                    return len(claim.jobs)
            # What lies there is of tasks that this worker does not know, or has to wait for longer: it must not hide what
            # lies in other slots.
            passed = passed.union(slots)
        if groups and self._is_idle and not self._is_stopping and self._loop.time() >= line.stage_at:
            brought = await self._claim_unstaged(line, groups[-1][0])
            if brought:
                return brought
        self._idle.found_nothing()
        return 0

    async def _claim_unstaged(self, line: QueueLine, wait_us: int) -> int:
        """Stage others' slots, and claim what is ready then: a job that falls due must not wait for a worker that is stuck."""
        slots, began_s = line.slots.others, self._loop.time()
        if not slots:
            return 0
        claim = await self._claim_lying(line, slots, self._tasks, wait_us, stages=slots)
        ended_s = self._loop.time()
        line.staged_elsewhere(ended_s, ended_s - began_s)
        return len(claim.jobs)

    async def _claim_lying(
        self, line: QueueLine, slots: Sequence[int], tasks: Sequence[int], wait_us: int, stages: Sequence[int] = ()
    ) -> Claim:
        """Claim jobs of a group of tasks from others' slots, keyed ones if they have waited for so long."""
        began_s = self._loop.time()
        claim = await self._store.claim(
            self._worker,
            line.queue_id,
            slots,
            max(1, self._room()),
            tasks=tasks,
            keyed_before=self._clock.now_us() - wait_us,
            stages=stages,
        )
        idle_us = 0
        if claim.jobs:
            idle_us = self._idle.took_elsewhere(claim.jobs, wait_us / 1e6, began_s, self._loop.time())
        self._take(claim.jobs, "claims.stolen", idle_us)
        return claim

    def _take(self, jobs: Sequence[ClaimedJob], counter: str, idle_us: int) -> None:
        self._telemetry.count("claims.calls")
        if jobs:
            self._telemetry.count(counter, len(jobs))
            self._telemetry.count("hands.idle_us", idle_us)
            self._holdings.take(jobs)
            self._hands.take(list(jobs))
            self._counted()
        else:
            self._telemetry.count("claims.empty")

    def _note_paused(self, line: QueueLine, is_paused: bool) -> None:
        if is_paused != line.is_paused:
            line.is_paused = is_paused
            self._telemetry.emit("queue.paused" if is_paused else "queue.resumed", queue=line.name, worker=self._name)

    async def adopt(self) -> None:
        """Ask the store what this worker holds, and run what it did not know of."""
        self._look_due = False
        self._holdings.begin_look()
        try:
            held = await self._store.held(self._worker)
        except BaseException:
            self._holdings.unknown_of(())
            self._look_due = True
            raise
        unknown = self._holdings.unknown_of(held)
        for job in held:
            if job.cancel_asked and (mine := self._holdings.jobs.get(job.token)) is not None:
                self._hands.cancel(mine)
        if unknown:
            self._telemetry.emit("jobs.adopted", worker=self._name, jobs=len(unknown))
            self._telemetry.count("claims.adopted", len(unknown))
            self._holdings.take(unknown)
            self._hands.take(unknown)

    # ── waiting ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _relieve(self) -> None:
        """Give back what waits although the next job has not been started for a while."""
        todo, now_s = self._hands.todo, self._loop.time()
        try:
            next_job = todo[0]
        except IndexError:
            self._next_job = None
            return
        if next_job is not self._next_job:
            self._next_job, self._next_since = next_job, now_s
        elif now_s - self._next_since >= HOARD_S:
            self._give_back(self._hands.take_back(), "those before them take longer than was expected")
            self._next_job = None

    async def _wait(self) -> None:
        """Wait for news, or until something falls due, or until it is time to look anyway."""
        now_s, is_idle = self._loop.time(), self._is_idle
        self._idle.rest(self._hands.free if is_idle else 0, now_s)
        wait_s = min((line.wait_s(now_s, is_idle=is_idle) for line in self._lines), default=SWEEP_S)
        if self._hands.todo:
            wait_s = min(wait_s, HOARD_S)
        if wait_s <= 0:
            await asyncio.sleep(0.001)
            return
        timer = self._loop.call_later(wait_s, self._news.set)
        try:
            await self._news.wait()
        finally:
            timer.cancel()

    async def _failed(self, error: StoreError) -> None:
        if self._paused_since is None:
            self._paused_since = self._loop.time()
            self._telemetry.emit("worker.paused", worker=self._name, why=error)
        self._failures += 1
        await asyncio.sleep(store_pause_s(self._failures, self._entropy))

    async def _pause(self) -> None:
        self._failures += 1
        if self._failures > 1:
            await asyncio.sleep(store_pause_s(self._failures - 1, self._entropy))

    def _succeeded(self) -> None:
        self._failures = 0
        if self._paused_since is not None:
            seconds = round(self._loop.time() - self._paused_since, 3)
            self._paused_since = None
            self._telemetry.emit("worker.resumed", worker=self._name, seconds=seconds)
