"""The store's port: what every engine must do, and what holds when a process dies in the middle of it.

    submit ──▶ [stage] ──▶ claim ──▶ (run) ──▶ settle ──▶ finished
                 ▲           ▲ fence+1            ▲ only if the fence still stands
                 │           └── give_back, release ── close
                 └── retry, snooze, due jobs, the key's next

Six Protocols by subject; ``Store`` is all of them. Each method is one transaction (or a few, said so where it matters), and
is *safe to call again* after a lost reply. Lost replies raise ``OutcomeUnknownError``; what was certainly not done raises
another ``StoreError``.

Words used below. A live row has ``ready`` (may be claimed now, or is held), ``head`` (it is its key's turn; kept while it
runs and while it backs off), ``alone`` (a suspect that must run by itself), ``due_at`` (not null only while it lies ahead),
``holder`` (the incarnation that claimed it), ``fence`` (raised by each claim, never lowered, not even by a reopening).

Invariants, each with the test that holds it:
    A key never has two heads.                                   tests/contract/test_keys.py
    A key with a due job has a head after stage; no crash        tests/contract/test_keys.py
      leaves it without one for longer than the next claim.
    A settle is recorded only under the fence of its claim.      tests/contract/test_settle.py
    Nothing is claimed by a closed worker.                       tests/contract/test_close.py
    Jobs that a closed worker held are all released.             tests/contract/test_close.py
    The races between sessions on PostgreSQL.                    tests/postgres/test_races.py

Time: engines take a ``Clock`` when they are made. PostgreSQL with ``clock=None`` uses the server's.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from rota.model.job import ClaimedJob, HistoryEntry, JobRow, NewJob
from rota.model.outcome import Failure, Outcome
from rota.model.state import State


class Woken(Struct, frozen=True, gc=False):
    """News that jobs of a slot may have become claimable.

    Attributes:
        queue_id: The queue.
        slot: The slot.
        place: The lowest place (``rota.model.slot.place_of``) among them: a cursor that has passed it must come back.
    """

    queue_id: int
    slot: int
    place: int


class Submitted(Struct, frozen=True):
    """Reply to ``submit``.

    Attributes:
        duplicates: Tokens of this call that existed already with the same content, live or finished; nothing was done.
        woken: Slots that got claimable jobs or turns, or jobs that fall due within 5 s (whose worker then sets a timer).
    """

    duplicates: frozenset[bytes]
    woken: Sequence[Woken]


class Ranks(Struct, frozen=True):
    """Where the jobs lie that a claim has left in its slots, as far as the engine has looked.

    Attributes:
        nothing_before: In none of the slots anything lies before this place.
        fronts: Beside the slots the place of the first job in each, ``None`` where there is none; empty when that is unknown.
    """

    nothing_before: int = 0
    fronts: Sequence[int | None] = ()


class Claim(Struct, frozen=True):
    """Reply to ``claim``.

    Attributes:
        jobs: The jobs, by place (priority, then ``seq``) across all slots.
        epoch: The ring epoch at this moment: if it differs from the worker's, its ring is out of date.
        due_in_us: How far the earliest ``due_at`` in the given slots lies ahead by the store's clock, which may differ from
            the caller's, in microseconds; ``None`` if there is none, or the engine does not know it cheaply.
        skipped: Slots that could not be staged because another session was staging them; try again in 2 to 50 ms. On
            SQLite only after a claim that was cut short, since its payloads would not have fitted in memory.
        is_paused: The queue is paused; ``jobs`` is empty.
        ranks: What is known of the order of these slots, where the queue has jobs of several priorities, else ``None``. A
            claim puts first only what is in the slots that it names.
    """

    jobs: Sequence[ClaimedJob]
    epoch: int
    due_in_us: int | None = None
    skipped: Sequence[int] = ()
    is_paused: bool = False
    ranks: Ranks | None = None


class Settled(Struct, frozen=True):
    """Reply to ``settle``.

    Attributes:
        stale: (token, fence) of outcomes that were refused because the fence no longer stands and no record of exactly this
            outcome exists. Each got a ``stale`` history entry. An outcome that had been recorded before (its reply was lost)
            is not stale and not repeated.
        woken: Slots in which the settled keys' next jobs became ready, or given-back jobs may be claimed again.
        skipped: As in ``Claim``.
    """

    stale: Sequence[tuple[bytes, int]]
    woken: Sequence[Woken]
    skipped: Sequence[int] = ()


class Cancelled(Struct, frozen=True):
    """Reply to ``cancel``.

    Attributes:
        was: The state that the cancel found: waiting or scheduled (it is cancelled now), running (its worker has been asked),
            a final one (nothing was done), or ``None`` (no such job).
        woken: Slots in which the key's next job became ready.
    """

    was: State | None
    woken: Sequence[Woken] = ()


class Released(Struct, frozen=True):
    """Reply to ``release``.

    Attributes:
        tokens: Jobs put back to their places.
        suspects: Those of them that had been running, and got a crash counted.
        condemned: Suspects that were settled as failed, because they crashed while alone.
        is_complete: Nothing is held by this worker any more. If not, call again.
    """

    tokens: Sequence[bytes]
    suspects: Sequence[bytes]
    condemned: Sequence[bytes]
    woken: Sequence[Woken]
    is_complete: bool


class Blame(Struct, frozen=True):
    """Which of a dead worker's jobs were running, and what is known of its death.

    Attributes:
        running: Tokens that were running; ``None`` when nobody can know (a lost node): then all that it held count.
        failure: What happened, for the history: type ``WorkerCrashed`` or ``NodeLost``, a message with exit signal, memory
            high-water mark and last log lines; ``WorkerEnded`` when nobody is to blame.
        condemns: The worker ran one job alone: a crash of it is that job's own.
        forgives: Nobody is to blame (a drain, a recycle): no crash is counted.
    """

    running: Collection[bytes] | None
    failure: Failure
    condemns: bool = False
    forgives: bool = False


class NewNode(Struct, frozen=True):
    """A supervisor that wants to be known.

    Attributes:
        name: Ring name, such as the host's; made unique among the living by a suffix if it is taken.
        proof: How others can see that it lives, in the words of its liveness policy: name of a lock file, or empty for a
            counter lease.
        host: JSON with boot id, PID namespace, pid and start time; for watching each other on one host.
        lease_ms: Length of its lease, for a counter lease; 0 for a file lock.
    """

    name: str
    proof: str
    host: str
    lease_ms: int = 0


class NewWorker(Struct, frozen=True):
    """A worker process that wants to be known.

    Attributes:
        node_id: Its node's incarnation, which must be open.
        name: Ring name, ``node/1``; the same place for the successor of a crashed process.
        proof: As for ``NewNode``.
        queues: Names of the queues that it serves.
        tasks: Names of the tasks that it knows.
        weight: Its weight in the ring, 1 to 1,000.
        is_alone: Runs one suspect and ends; not in the ring.
        pid: For people.
    """

    node_id: int
    name: str
    proof: str
    queues: Sequence[str]
    tasks: Sequence[str]
    weight: int = 1
    is_alone: bool = False
    pid: int = 0


class Registered(Struct, frozen=True):
    """Reply to ``register_node`` and ``register_worker``.

    Attributes:
        id: The incarnation: never used again.
        name: The name as given, or with a suffix.
        epoch: The ring epoch that it begins with.
        queue_ids: For a worker: number of each queue it serves, by name.
        task_ids: For a worker: number of each task it knows, by name.
    """

    id: int
    name: str
    epoch: int
    queue_ids: Mapping[str, int] = {}
    task_ids: Mapping[str, int] = {}


class NodeRow(Struct, frozen=True):
    """An open node."""

    id: int
    name: str
    proof: str
    host: str
    lease_ms: int
    counter: int
    registered_at: int
    is_draining: bool


class WorkerRow(Struct, frozen=True):
    """An open worker.

    Attributes:
        held: Number of its claims rows' jobs not yet known to be settled (an upper bound).
        lease_ms: Length of its node's lease, also when the node is closed.
    """

    id: int
    node_id: int
    name: str
    proof: str
    queues: Sequence[str]
    tasks: Sequence[str]
    weight: int
    is_alone: bool
    is_draining: bool
    pid: int
    registered_at: int
    held: int
    lease_ms: int = 0


class DepartedRow(Struct, frozen=True):
    """A worker that has been closed; what people need to see how the ring changed."""

    id: int
    name: str
    queues: Sequence[str]
    weight: int
    is_alone: bool
    registered_at: int
    closed_at: int


class Membership(Struct, frozen=True):
    """All that are open, by id. ``epoch`` rises whenever a worker registers, drains or is closed."""

    epoch: int
    nodes: Sequence[NodeRow]
    workers: Sequence[WorkerRow]
    orchestrator: int | None


class QueueRow(Struct, frozen=True):
    """A queue with its counts at this moment. ``oldest_ready_at`` is when its oldest claimable job was accepted."""

    id: int
    name: str
    is_paused: bool
    waiting: int
    scheduled: int
    running: int
    waiting_max: int


class JobFilter(Struct, frozen=True):
    """Which jobs to list; ``None`` means any. Newest first, by token; ``before`` is the last token of the page before."""

    states: Collection[State] | None = None
    task: str | None = None
    queue: str | None = None
    key: str | None = None
    before: bytes | None = None
    limit: int = 100


class AloneRow(Struct, frozen=True):
    """A suspect that waits to be run alone."""

    token: bytes
    queue: str
    task: str


class Swept(Struct, frozen=True):
    """What a sweep mended; all zero in a healthy store."""

    keys_without_head: int
    jobs_of_closed_workers: int
    claims_rows_dropped: int
    woken: Sequence[Woken] = ()

    @property
    def total(self) -> int:
        """How many things were wrong."""
        return self.keys_without_head + self.jobs_of_closed_workers + self.claims_rows_dropped


class Check(Struct, frozen=True):
    """One line of ``rota doctor``: ``level`` is ok, note, warning or error; ``advice`` says what to do, empty if nothing."""

    name: str
    level: str
    says: str
    advice: str = ""


class Wake(Struct, frozen=True):
    """A wake-up from another process.

    Attributes:
        woken: Slots with work; ``None`` means "look everywhere".
        is_staged: None of the slots needs to be staged for what was told of them.
        from_place: With ``None``: nothing before this place in any line has become claimable.
        cancels: Tokens of running jobs whose cancellation was asked for.
        settled: Tokens that have been settled; ``None`` means "look".
        is_epoch: The ring has changed.
        is_alone: A suspect waits to be run alone.
    """

    woken: Sequence[Woken] | None = ()
    cancels: Sequence[bytes] = ()
    settled: Sequence[bytes] | None = ()
    is_epoch: bool = False
    is_alone: bool = False
    from_place: int = 0
    is_staged: bool = False


class Intake(Protocol):
    """The way in."""

    async def submit(self, jobs: Sequence[NewJob]) -> Submitted:
        """Put jobs in, all or none, in order; return when they are on stable storage.

        Wakes the workers of their slots, after the commit. Safe to call again with the same jobs after any error: known
        tokens with the same task, payload and key are left alone, whether live or finished.

        Raises:
            TokenReusedError: A token exists with another task, payload or key.
            InvalidTokenError: A token is no UUIDv7, or its time is off the store's by more than a day (unless it exists).
            QueueFullError: A queue's ``waiting_max`` would be passed.
            StoreError: It was not done, or (``OutcomeUnknownError``) may have been.
        """
        ...

    async def cancel(self, token: bytes) -> Cancelled:
        """Cancel a job that is not running, at once; ask the worker of one that is.

        A cancelled head lets its key's next job go, in the same transaction.
        """
        ...

    async def reopen(self, token: bytes) -> Sequence[Woken]:
        """Put a failed, cancelled or expired job back: last place, attempts and crashes at zero, fence and history kept.

        Raises:
            UnknownTokenError: No such finished job.
            NotAllowedError: It succeeded, or it is live.
        """
        ...


class Claims(Protocol):
    """Taking jobs and recording what became of them. ``worker`` is an incarnation throughout."""

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
        """Take up to ``limit`` jobs of one queue that are ready in these slots and that nobody holds.

        First stages the slots (due jobs, heads for keys without one). What was running when its worker died comes first,
        whatever its slot: few of them, and they have waited. Then slots are probed in the order given; the jobs come back
        by place. Writes holder and fence+1 into each row and one claims row, in one transaction that also checks that the
        worker is open and the queue not paused. If the process dies just after: the rows name the worker, ``held`` and
        ``release`` find them.

        Args:
            limit: 1 to 1,000.
            tasks: Numbers of the tasks that the worker knows; others are left for those who do.
            cursors: For each slot the lowest place that may be claimable, as far as the caller knows; ``None`` for 0.
            keyed_before: Of jobs with a key take only those that became ready before this instant (microseconds since
                1970), for claims from other workers' slots; ``None`` for all.
            stages: Those of the slots that may have something to stage, as far as the caller knows; ``None`` for all. An
                engine may stage the others too.
            is_loop_idle: The caller's event loop has nothing else to do: an engine may keep it for as long as the commit takes.

        Raises:
            NodeClosedError: The worker has been closed.
        """
        ...

    async def claim_alone(self, worker: int, tasks: Sequence[int]) -> Claim:
        """Take one suspect (any queue that is not paused) to run it alone. ``worker`` must be registered as alone."""
        ...

    async def settle(self, worker: int, outcomes: Sequence[Outcome], done_claims: Sequence[int] = ()) -> Settled:
        """Record outcomes, each only if its fence still stands; drop the claims rows all of whose jobs are settled.

        Final outcomes move the row to finished; retries and snoozes keep it, and its key's turn, until ``due_at``; jobs given
        back lose their holder and keep their place, uncounted. The next job of each key that lost its head becomes head in
        the same transaction. The holder is not looked at: a job released by mistake and settled before anybody claims it
        again is done. Attempts rise by one for a retry and a final failure; crashes are set to zero by every outcome of a
        run that ended by itself (not by giving back). Calling it again records nothing twice.
        """
        ...

    async def held(self, worker: int) -> Sequence[ClaimedJob]:
        """Return all jobs that this worker holds, by ``seq``, with their current fence and cancel flag."""
        ...

    async def release(self, worker: int, blame: Blame) -> Released:
        """Put back what a *closed* worker held; a second call finds nothing left.

        Jobs keep place, key's turn and attempts. Those blamed get ``crashes`` + 1 and a ``crashed`` history entry; from the
        second crash on they become ``alone``. If ``blame.condemns``, they are settled as failed instead.

        Raises:
            NotAllowedError: The worker is open.
        """
        ...


class Members(Protocol):
    """Who is there."""

    async def register_node(self, node: NewNode) -> Registered:
        """Make a node known. A new incarnation, unless one with the same non-empty proof is open: that is returned again."""
        ...

    async def renew(self, node_id: int, counter: int) -> None:
        """Raise the node's lease counter to ``counter``.

        Raises:
            NodeClosedError: The node has been closed.
        """
        ...

    async def close_node(self, node_id: int, counter: int) -> bool:
        """Declare a node dead if its counter still is ``counter``; its workers stay open until each is closed.

        Returns whether it is closed now *by this call*. No worker can register under a closed node.
        """
        ...

    async def register_worker(self, worker: NewWorker) -> Registered:
        """Make a worker known and raise the epoch (not for one that runs alone).

        Safe to call again: an open worker of this node with the same non-empty proof is returned as it is, so that a lost
        reply does not leave a second one in the ring that nobody is.

        Raises:
            NodeClosedError: Its node has been closed.
        """
        ...

    async def drain_worker(self, worker: int) -> None:
        """Take a worker out of the ring; it may still settle. Raises the epoch."""
        ...

    async def close_worker(self, worker: int) -> bool:
        """Declare a worker dead; raise the epoch. Returns whether this call did it. Waits for a claim of it in flight.

        Release what it held *after* this has returned, never in the same transaction.
        """
        ...

    async def closed_workers_with_jobs(self) -> Sequence[WorkerRow]:
        """Return closed workers that still have claims rows: somebody died between close and release."""
        ...

    async def departed(self, limit: int = 100) -> Sequence[DepartedRow]:
        """Return the workers that were closed last, newest first, as far as their rows are kept. For people."""
        ...

    async def membership(self, known: Membership | None = None) -> Membership:
        """Return everyone who is open, at one moment.

        Args:
            known: An earlier answer. If the epoch still is the same, so are the workers on the ring: its rows of them are
                returned again, with how many jobs each held then. Saves reading a hundred rows twice a second.
        """
        ...

    async def take_house(self, node_id: int) -> int:
        """Become orchestrator if the place is vacant (its holder is closed). Returns the holder's node id."""
        ...


class Reading(Protocol):
    """Looking things up. Nothing here writes."""

    async def states(self, tokens: Sequence[bytes]) -> Mapping[bytes, State]:
        """Return the state of each token that is known."""
        ...

    async def find(self, token: bytes) -> JobRow | None:
        """Return what is known of one job, live or finished."""
        ...

    async def history(self, token: bytes) -> Sequence[HistoryEntry]:
        """Return what happened to it, oldest first: failed attempts, crashes, refused settles, reopenings."""
        ...

    async def head_of(self, queue: str, key: str) -> JobRow | None:
        """Return the job whose turn it is in this key, if there is one."""
        ...

    async def jobs(self, which: JobFilter) -> Sequence[JobRow]:
        """Return one page of jobs, newest first; payloads and results are left out (empty)."""
        ...

    async def queues(self) -> Sequence[QueueRow]:
        """Return every queue, by name, with its counts."""
        ...

    async def finished_counts(self) -> Mapping[State, int]:
        """Return how many finished jobs are kept, by state."""
        ...

    async def alone(
        self, queues: Collection[str] | None = None, tasks: Collection[str] | None = None
    ) -> Sequence[AloneRow]:
        """Return up to 100 suspects that wait to run alone, oldest first; of these queues and tasks (``None``: of all)."""
        ...

    async def ready_elsewhere(
        self, queue_id: int, slots: Collection[int], *, keyed_before: int, limit: int = 64
    ) -> Sequence[int]:
        """Return up to ``limit`` slots, outside of ``slots``, that have ready unheld jobs worth stealing.

        Keyless ones count at once; keyed ones only if ready since before ``keyed_before`` (microseconds since 1970).
        """
        ...


class House(Protocol):
    """Keeping the store itself."""

    async def set_paused(self, queue: str, is_paused: bool) -> None:
        """Pause or resume a queue: a paused one accepts jobs and starts none. Resuming wakes its workers."""
        ...

    async def expire(self, limit: int = 1_000) -> int:
        """Settle as expired up to ``limit`` jobs whose ``expires_at`` has passed and that nobody has ever started.

        A worker that comes to such a job does the same; this is for jobs to which no worker comes. The next job of a key
        that lost its head becomes head in the same transaction. Returns how many were settled.
        """
        ...

    async def prune(self, settled_before: int, limit: int = 5_000) -> int:
        """Remove up to ``limit`` finished jobs settled before that instant and whose token is older than 25 hours.

        An engine that has partitions leaves those that will soon go with theirs, for two days at most (or a tenth of the
        retention, if that is longer).
        """
        ...

    async def tend_partitions(self, settled_before: int) -> int:
        """See to the partitions of finished jobs: make those of the days to come, drop old ones whole.

        One is dropped when all of its jobs could be pruned. Somebody's lock in the way is no error: it is done at the next
        call. Returns about how many jobs went; 0 in an engine without partitions (SQLite).
        """
        ...

    async def sweep(self) -> Swept:
        """Heal damage: keys with a due job and no head, jobs held by closed workers, empty claims rows.

        No crash of ours leaves such a thing for longer than a moment; this is for what we did not think of.
        """
        ...

    async def doctor(self) -> Sequence[Check]:
        """Return what is to be said about this store: version, durability, schema, file system, things stuck."""
        ...

    async def backup(self, path: str, progress: Callable[[int, int], None] | None = None) -> None:
        """Write a consistent copy to a new file while work goes on (SQLite).

        Args:
            progress: Called with pages left and pages in all.

        Raises:
            NotAllowedError: ``path`` exists, or the engine has tools of its own for this.
        """
        ...


class Wakes(Protocol):
    """Wake-ups. They make things fast and are never needed for them to be right: every listener also polls slowly."""

    def listen(self, name: str, heard: Callable[[Wake], None]) -> Callable[[], None]:
        """Call ``heard`` on the running event loop for each wake-up; returns what ends it.

        Args:
            name: Who listens: ``worker-<incarnation>``, ``node-<incarnation>`` or ``wait-<anything unique>``.
        """
        ...

    def tell(self, wake: Wake) -> None:
        """Send a wake-up to every listener that it concerns. Never blocks, never raises; may be lost."""
        ...


class Store(Intake, Claims, Members, Reading, House, Wakes, Protocol):
    """All of it. Made by ``rota.app.engine.open_store``; engines: ``SqliteStore``, ``PostgresStore``."""

    @property
    def url(self) -> str:
        """Where it is, without secrets."""
        ...

    async def intern(self, queues: Sequence[str], tasks: Sequence[str]) -> tuple[Mapping[str, int], Mapping[str, int]]:
        """Return the numbers of these queues and tasks, giving new ones where needed. Kept by the engine."""
        ...

    async def close(self) -> None:
        """Let go of files and connections. Safe to call twice."""
        ...
