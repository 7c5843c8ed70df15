"""The store on SQLite: every method of the port, each handed to the writer, to the reader, or to the wake-ups.

    async handle ───▶ writer's thread, reader's thread
    inline handle ──▶ the calling thread              (the same connections, the same mutex)

What a method does is a plain function in the module of its subject; here is only who carries it out, and when it is now.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final, TypeVar

import apsw

from rota.errors import NotAllowedError
from rota.model.job import ClaimedJob, HistoryEntry, JobRow, NewJob
from rota.model.limits import WAITING_JOBS_MAX
from rota.model.outcome import Outcome
from rota.model.state import State
from rota.runtime.clock import Clock
from rota.runtime.entropy import Entropy
from rota.store.port import (
    AloneRow,
    Blame,
    Cancelled,
    Check,
    Claim,
    DepartedRow,
    JobFilter,
    Membership,
    NewNode,
    NewWorker,
    QueueRow,
    Registered,
    Released,
    Settled,
    Submitted,
    Swept,
    Wake,
    Woken,
    WorkerRow,
)
from rota.store.sqlite import backup, change, claims, doctor, house, intake, listing, members, names, reading
from rota.store.sqlite.candidates import FEW_SLOTS, Wanted
from rota.store.sqlite.connection import DURABILITIES, MEMORY, WriteMark
from rota.store.sqlite.desk import Desk
from rota.store.sqlite.release import Rescue
from rota.store.sqlite.settling import Settlement
from rota.store.sqlite.writer import Look, News, Together, Write

T = TypeVar("T")

BUSY_TIMEOUT_MS: Final = 10_000


class SqliteStore:
    """A handle on one file. Made by ``SqliteStore.open``; safe to use from many threads and event loops."""

    def __init__(self, desk: Desk, *, is_inline: bool = False) -> None:
        self._desk = desk
        self._is_inline = is_inline

    @classmethod
    def open(
        cls,
        path: str,
        *,
        clock: Clock,
        entropy: Entropy,
        busy_timeout_ms: int = BUSY_TIMEOUT_MS,
        durability: str = "full",
        write_mark: WriteMark | None = None,
        waiting_max: int = WAITING_JOBS_MAX,
        reads_only: bool = False,
    ) -> SqliteStore:
        """Open a file, making it if it is not there, and bring its schema up to date.

        Args:
            path: The file, or ``:memory:`` for one that ends with this handle.
            clock: Gives every instant that is written.
            entropy: Where chance comes from.
            busy_timeout_ms: How long a call waits while another process holds the lock.
            durability: ``full``: what was accepted is on the disk. ``normal``: a power cut may lose the last moments. ``off``:
                it may damage the file.
            write_mark: Told when this process begins and ends a write transaction.
            waiting_max: Unfinished jobs that a queue may have before submits are refused.
            reads_only: Open an existing file to look at it: nothing is written, no file is made, no schema changed.

        Raises:
            UnsupportedStoreError: A network file system, or a database of another program.
            SchemaVersionError: It was made by a newer rota.
            StoreError: It cannot be opened.
        """
        # Not a link to it: SQLite keeps its log beside the file itself, and we what belongs to it; everybody must find both.
        place = path if path == MEMORY else os.path.realpath(path)
        desk = Desk(
            place,
            clock=clock,
            entropy=entropy,
            busy_timeout_ms=busy_timeout_ms,
            durability=durability,
            mark=write_mark,
            waiting_max=waiting_max,
            reads_only=reads_only,
        )
        return cls(desk)

    @property
    def url(self) -> str:
        """Where it is."""
        return MEMORY if self._desk.is_memory else f"sqlite:///{self._desk.path}"

    def inline(self) -> SqliteStore:
        """Return a handle whose coroutines never suspend: the calling thread does the work, and whatever else waits."""
        return SqliteStore(self._desk, is_inline=True)

    async def close(self) -> None:
        """Let go of files and connections. Safe to call twice."""
        self._desk.wakes.close()
        if self._is_inline:
            self._desk.close()
        else:
            # It waits for what is being written and read, and may move the log once more: not on the event loop.
            await asyncio.to_thread(self._desk.close)

    # ── who carries it out ───────────────────────────────────────────────────────────────────────────────────────────

    async def _write(self, write: Write[T], look: Look | None = None, together: Together | None = None) -> T:
        writer = self._desk.writer
        if self._is_inline:
            return writer.call_inline(write, look, together)
        return await writer.call(write, look, together)

    async def _read(self, read: Callable[[apsw.Connection], T]) -> T:
        desk = self._desk
        if desk.is_memory:
            # There is no second connection to a database in memory: the writer's looks, outside of any transaction.
            return await self._write(_never, read)
        return desk.reader.call_inline(read) if self._is_inline else await desk.reader.call(read)

    def _now(self) -> int:
        return self._desk.clock.now_us()

    async def intern(self, queues: Sequence[str], tasks: Sequence[str]) -> tuple[Mapping[str, int], Mapping[str, int]]:
        """Return the numbers of these queues and tasks, giving new ones where needed."""
        desk = self._desk
        if not desk.numbers(queues, tasks):
            known = await self._write(
                lambda db, _: names.intern(db, queues, tasks), lambda db: names.look(db, queues, tasks)
            )
            desk.queue_ids.update(known[0])
            desk.task_ids.update(known[1])
        return {name: desk.queue_ids[name] for name in queues}, {name: desk.task_ids[name] for name in tasks}

    # ── intake ───────────────────────────────────────────────────────────────────────────────────────────────────────

    async def submit(self, jobs: Sequence[NewJob]) -> Submitted:
        """Put jobs in, all or none, in order; return when they are on stable storage."""
        if not jobs:
            return Submitted(duplicates=frozenset(), woken=())
        desk = self._desk
        if not desk.knows_names_of(jobs):
            await self.intern(sorted({job.queue for job in jobs}), sorted({job.task for job in jobs}))
        submission = intake.Submission(
            jobs, desk.queue_ids, desk.task_ids, waiting_max=desk.waiting_max, now=self._now()
        )
        if submission.is_plain:
            return await self._write(submission.write, together=(intake.submit_together, submission))
        return await self._write(submission.write)

    async def cancel(self, token: bytes) -> Cancelled:
        """Cancel a job that is not running, at once; ask the worker of one that is."""
        now = self._now()
        return await self._write(lambda db, news: change.cancel(db, news, token, now))

    async def reopen(self, token: bytes) -> Sequence[Woken]:
        """Put a failed, cancelled or expired job back."""
        now = self._now()
        return await self._write(lambda db, news: change.reopen(db, news, token, now))

    # ── claims ───────────────────────────────────────────────────────────────────────────────────────────────────────

    async def claim(
        self,
        worker: int,
        queue_id: int,
        slots: Sequence[int],
        limit: int,
        *,
        tasks: Sequence[int],
        cursors: Sequence[int] | None = None,
        keyed_before: int | None = None,
        stages: Sequence[int] | None = None,
        is_loop_idle: bool = False,
    ) -> Claim:
        """Take up to ``limit`` jobs of one queue that are ready in these slots and that nobody holds."""
        at = dict(zip(slots, cursors, strict=True)) if cursors is not None and any(cursors) else None
        wanted = Wanted(queue_id=queue_id, slots=slots, limit=limit, cursors=at, keyed_before=keyed_before)
        call = claims.ClaimCall(worker, wanted, tasks, stages=stages is None or bool(stages), now=self._now())
        if is_loop_idle and not self._is_inline and len(slots) <= FEW_SLOTS:
            return await self._desk.writer.call_from_idle(call.write, call.look)
        return await self._write(call.write, call.look)

    async def claim_alone(self, worker: int, tasks: Sequence[int]) -> Claim:
        """Take one suspect to run it alone."""
        call = claims.ClaimAloneCall(worker, tasks, now=self._now())
        return await self._write(call.write, call.look)

    async def settle(self, worker: int, outcomes: Sequence[Outcome], done_claims: Sequence[int] = ()) -> Settled:
        """Record outcomes, each only if its fence still stands; drop claims of which nothing is held any more."""
        if not outcomes and not done_claims:
            return Settled(stale=(), woken=())
        return await self._write(Settlement(worker, outcomes, done_claims, self._now()).write)

    async def held(self, worker: int) -> Sequence[ClaimedJob]:
        """Return all jobs that this worker holds, by ``seq``."""
        return await self._read(lambda db: claims.held(db, worker))

    async def release(self, worker: int, blame: Blame) -> Released:
        """Put back what a closed worker held; a second call finds nothing left."""
        rescue = Rescue(worker, blame, self._now())
        return await self._write(rescue.write, rescue.look)

    # ── members ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def register_node(self, node: NewNode) -> Registered:
        """Make a node known."""
        now = self._now()
        return await self._write(lambda db, _: members.register_node(db, node, now))

    async def renew(self, node_id: int, counter: int) -> None:
        """Raise the node's lease counter."""
        await self._write(lambda db, _: members.renew(db, node_id, counter))

    async def close_node(self, node_id: int, counter: int) -> bool:
        """Declare a node dead if its counter still is ``counter``."""
        now = self._now()
        return await self._write(lambda db, news: members.close_node(db, news, node_id, counter, now))

    async def register_worker(self, worker: NewWorker) -> Registered:
        """Make a worker known and raise the epoch."""
        queues, tasks = await self.intern(worker.queues, worker.tasks)
        now = self._now()
        return await self._write(lambda db, news: members.register_worker(db, news, worker, queues, tasks, now))

    async def drain_worker(self, worker: int) -> None:
        """Take a worker out of the ring."""
        await self._write(lambda db, news: members.drain_worker(db, news, worker))

    async def close_worker(self, worker: int) -> bool:
        """Declare a worker dead; raise the epoch."""
        now = self._now()
        return await self._write(lambda db, news: members.close_worker(db, news, worker, now))

    async def closed_workers_with_jobs(self) -> Sequence[WorkerRow]:
        """Return closed workers that still have claims rows."""
        return await self._read(members.closed_workers_with_jobs)

    async def membership(self, known: Membership | None = None) -> Membership:
        """Return everyone who is open, at one moment; all are read anew, which takes no time here."""
        del known
        return await self._read(members.membership)

    async def departed(self, limit: int = 100) -> Sequence[DepartedRow]:
        """Return the workers that were closed last, newest first."""
        return await self._read(lambda db: members.departed(db, limit))

    async def take_house(self, node_id: int) -> int:
        """Become orchestrator if the place is vacant."""
        return await self._write(lambda db, _: members.take_house(db, node_id), members.look_before_house)

    # ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def states(self, tokens: Sequence[bytes]) -> Mapping[bytes, State]:
        """Return the state of each token that is known."""
        now = self._now()
        return await self._read(lambda db: reading.states(db, tokens, now))

    async def find(self, token: bytes) -> JobRow | None:
        """Return what is known of one job, live or finished."""
        now = self._now()
        return await self._read(lambda db: reading.find(db, token, now))

    async def history(self, token: bytes) -> Sequence[HistoryEntry]:
        """Return what happened to it, oldest first."""
        return await self._read(lambda db: reading.history(db, token))

    async def head_of(self, queue: str, key: str) -> JobRow | None:
        """Return the job whose turn it is in this key."""
        now = self._now()
        return await self._read(lambda db: reading.head_of(db, queue, key, now))

    async def jobs(self, which: JobFilter) -> Sequence[JobRow]:
        """Return one page of jobs, newest first."""
        now = self._now()
        return await self._read(lambda db: listing.jobs(db, which, now))

    async def queues(self) -> Sequence[QueueRow]:
        """Return every queue, by name, with its counts."""
        now = self._now()
        return await self._read(lambda db: reading.queues(db, self._desk.waiting_max, now))

    async def finished_counts(self) -> Mapping[State, int]:
        """Return how many finished jobs are kept, by state."""
        return await self._read(reading.finished_counts)

    async def alone(
        self, queues: Collection[str] | None = None, tasks: Collection[str] | None = None
    ) -> Sequence[AloneRow]:
        """Return up to 100 suspects that wait to run alone, oldest first; see the port."""
        return await self._read(lambda db: reading.alone(db, queues, tasks))

    async def ready_elsewhere(
        self, queue_id: int, slots: Collection[int], *, keyed_before: int, limit: int = 64
    ) -> Sequence[int]:
        """Return up to ``limit`` slots, outside of ``slots``, that have jobs worth stealing."""
        return await self._read(lambda db: reading.ready_elsewhere(db, queue_id, slots, keyed_before, limit))

    # ── house ────────────────────────────────────────────────────────────────────────────────────────────────────────

    async def set_paused(self, queue: str, is_paused: bool) -> None:
        """Pause or resume a queue."""
        queue_ids, _ = await self.intern([queue], [])
        await self._write(lambda db, news: house.set_paused(db, news, queue_ids[queue], is_paused))

    async def expire(self, limit: int = 1_000) -> int:
        """Settle as expired what nobody has started in time."""
        expiry = house.Expiry(limit, self._now())
        return await self._write(expiry.write, expiry.look)

    async def prune(self, settled_before: int, limit: int = 5_000) -> int:
        """Remove up to ``limit`` finished jobs settled before that instant and whose token is older than 25 hours."""
        pruning = house.Pruning(settled_before, limit, self._now())
        return await self._write(pruning.write, pruning.look)

    async def tend_partitions(self, settled_before: int) -> int:
        """Return 0: there are no partitions."""
        del settled_before
        return 0

    async def sweep(self) -> Swept:
        """Heal damage."""
        sweep = house.Sweep(self._now())
        if not self._desk.is_memory:
            # It reads all that is live: that is no work for the connection that everybody's writes wait for.
            found = await self._read(sweep.look)
            if isinstance(found, Swept):
                return found
        return await self._write(sweep.write, sweep.look)

    async def doctor(self) -> Sequence[Check]:
        """Return what is to be said about this store."""
        desk, now = self._desk, self._now()
        synchronous = DURABILITIES.index(desk.durability)
        return await self._read(
            lambda db: doctor.examine(db, desk.path, synchronous, now, is_at_rest=desk.reader.is_at_rest)
        )

    async def backup(self, path: str, progress: Callable[[int, int], None] | None = None) -> None:
        """Write a consistent copy to a new file while work goes on."""
        backup.refuse_existing(path)
        await self._read(lambda db: backup.copy(db, path, progress))

    # ── wakes ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def listen(self, name: str, heard: Callable[[Wake], None]) -> Callable[[], None]:
        """Call ``heard`` on the running event loop for each wake-up; returns what ends it."""
        return self._desk.wakes.listen(name, heard)

    def tell(self, wake: Wake) -> None:
        """Send a wake-up to every listener that it concerns."""
        self._desk.wakes.tell(wake)


def _never(_db: apsw.Connection, _news: News) -> Any:
    raise NotAllowedError("what only looks has nothing to write")
