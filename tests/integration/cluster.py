"""Real nodes on a store of their own, for tests that kill them: on a SQLite file, or see ``postgres_cluster``.

    cluster.node("mitte", processes=2) ─▶ keeper ─▶ supervisor ─▶ workers, all real, started as `rota run` starts them
    cluster.tasks.work.submit(0.5)     ─▶ from this process
    cluster.history()                  ─▶ what the handlers themselves noted: evidence for the checkers

Everything is waited for by its condition. All that was started is dead when the test ends, whatever happened.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import signal
import subprocess
import sys
import time
from collections.abc import Coroutine, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

import msgspec
import pytest

from rota.app.blocking import drive
from rota.app.engine import open_store
from rota.model.job import JobRow
from rota.model.retry import Retry
from rota.model.state import State
from rota.model.token import token_from_text
from rota.node.order import NodeOrder
from rota.node.remains import table_path
from rota.store.port import JobFilter, Membership, NodeRow, Store, WorkerRow
from rota.worker.running import RunningTable
from tests.checkers.history import AnyEvent, Ended, Killed, Recorder, Started, read_history
from tests.checkers.one_runner import one_runner
from tests.house.tree import ROOT
from tests.processes import is_running, state_of
from tests.unit.node.waiting import PATIENCE_S, until

KEEPER = """
import sys, msgspec
from rota.app.address import read_address
from rota.app.write_lock import lock_test_of
from rota.node.keeper import Keeper
from rota.node.order import NodeOrder
from rota.runtime.clock import SystemClock
from rota.telemetry.lines import LogLines
from rota.telemetry.telemetry import Telemetry
order = msgspec.json.decode(sys.stdin.buffer.read(), type=NodeOrder)
telemetry = Telemetry([LogLines(sys.stderr, SystemClock().now_us)])
sys.exit(Keeper(order, sys.argv[1], telemetry, holds_lock=lock_test_of(read_address(order.store))).run())
"""
APP = "tests.integration.crash_app"
T = TypeVar("T")


class Node:
    """One real node: its keeper's process, and how to find the others."""

    def __init__(self, cluster: Cluster, name: str, keeper: subprocess.Popen[bytes]) -> None:
        self.cluster = cluster
        self.name = name
        self.keeper = keeper

    @property
    def row(self) -> NodeRow | None:
        """Its open row: the newest of its name."""
        rows = [row for row in self.cluster.membership().nodes if row.name == self.name]
        return rows[-1] if rows else None

    @property
    def supervisor(self) -> int:
        """Process id of the supervisor that is registered now."""
        row = until(lambda: self.row, f"node {self.name} to be registered")
        pid: int = msgspec.json.decode(row.host)["pid"]
        return pid

    @property
    def workers(self) -> list[WorkerRow]:
        """The open workers of its open row."""
        row = self.row
        return [] if row is None else [one for one in self.cluster.membership().workers if one.node_id == row.id]

    def worker(self, number: int = 1) -> WorkerRow:
        """Wait for a living worker in this place and return its row."""
        name = f"{self.name}/{number}"
        found = until(
            lambda: [row for row in self.workers if row.name == name and is_running(row.pid)], f"worker {name}"
        )
        return found[0]

    def is_up(self, processes: int) -> bool:
        """Whether so many of its workers are registered."""
        return sum(not worker.is_alone for worker in self.workers) == processes

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send the keeper a signal and return its exit code."""
        self.keeper.send_signal(number)
        return self.keeper.wait(40)


class Cluster:
    """Nodes, a store, and the log of the handlers.

    Args:
        folder: Where all files go.
        app: Module of the app, which has ``app`` in it; it finds the store by ``ROTA_STORE``.

    Attributes:
        supervisor_module: Where a supervisor's ``main`` is.
    """

    supervisor_module = "rota.app.node_main"

    def __init__(self, folder: Path, app: str = APP) -> None:
        self.folder = folder
        self.path = folder / "shop.db"
        self.address = self._make_address()
        self.log = folder / "handlers.jsonl"
        self.app_name = app
        self._nodes: list[Node] = []
        self._environment = {
            **self._settings(),
            "ROTA_STORE": self.address,
            "CRASH_LOG": str(self.log),
            "PYTHONPATH": str(ROOT),
        }
        self._recorder = Recorder(self.log)
        self.tasks: Any = self._load(app)
        self.store: Store = self._open()

    # ── what depends on the engine ───────────────────────────────────────────────────────────────────────────────────

    def _make_address(self) -> str:
        return str(self.path)

    def _settings(self) -> dict[str, str]:
        return {}

    def _open(self) -> Store:
        opened: Any = drive(open_store(self.address))
        store: Store = opened.inline()
        return store

    def _let_go(self) -> None:
        drive(self.store.close())

    def ask(self, work: Coroutine[Any, Any, T]) -> T:
        """Ask the store something, from plain code."""
        return drive(work)

    def proofs(self) -> str:
        """Return the folder of lock files and running tables."""
        return f"{self.path}.d/proof"

    # ── the app ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _load(self, app: str) -> ModuleType:
        """Load the app's module anew, bound to this cluster's store, for submitting from here."""
        with pytest.MonkeyPatch.context() as patch:
            for name, value in self._environment.items():
                patch.setenv(name, value)
            found = importlib.util.find_spec(app)
            assert found is not None
            assert found.loader is not None
            module = importlib.util.module_from_spec(found)
            found.loader.exec_module(module)
            assert module.app.config.store == self.address
        return module

    # ── nodes ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def node(self, name: str = "mitte", *, processes: int = 2, concurrency: int = 4, **more: Any) -> Node:
        """Start a node and wait until its workers are registered. ``more`` is passed to ``NodeOrder``."""
        node = self.start(name, processes=processes, concurrency=concurrency, **more)
        until(lambda: node.is_up(processes), f"{processes} workers of {name}", 2 * PATIENCE_S)
        return node

    def start(
        self,
        name: str = "mitte",
        *,
        under: Sequence[str] = (),
        environment: dict[str, str] | None = None,
        address: str | None = None,
        log: Path | None = None,
        **how: Any,
    ) -> Node:
        """Start a node, under another command perhaps, and wait for nothing.

        It may know the store by another address than this process, and write its log into a file of its own.
        """
        order = NodeOrder(store=address or self.address, app=f"{self.app_name}:app", name=name, **how)
        with open(log, "ab") if log else contextlib.nullcontext() as stderr:
            keeper = subprocess.Popen(
                [*under, sys.executable, "-c", KEEPER, self.supervisor_module],
                stdin=subprocess.PIPE,
                stderr=stderr,
                env=os.environ | self._environment | (environment or {}),
                cwd=self.folder,
                process_group=0,
            )
        assert keeper.stdin is not None
        with keeper.stdin as stdin:
            stdin.write(msgspec.json.encode(order))
        node = Node(self, name, keeper)
        self._nodes.append(node)
        return node

    def close(self) -> None:
        """Kill everything that still runs, and let go of the store."""
        for node in self._nodes:
            self._end(node)
        self._kill_the_rest()
        self._recorder.close()
        self.tasks.app.close()
        self._let_go()

    def _end(self, node: Node) -> None:
        with contextlib.suppress(ProcessLookupError):
            node.keeper.kill()
        node.keeper.wait()

    def _kill_the_rest(self) -> None:
        """Kill whatever carries this cluster's mark in its environment, orphans as well."""
        mark = f"CRASH_LOG={self.log}".encode()
        for pid in (rest := marked(mark)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        until(lambda: not any(is_running(pid) for pid in rest), "the nodes' processes to be gone")

    def note_kill(self, pid: int) -> None:
        """Note for the checkers that a worker is about to die."""
        self._recorder.saw(Killed(at=time.clock_gettime_ns(time.CLOCK_BOOTTIME), worker=f"process {pid}"))

    def kill(self, pid: int) -> None:
        """Kill a worker with ``kill -9``."""
        self.note_kill(pid)
        os.kill(pid, signal.SIGKILL)

    def table(self, worker: WorkerRow) -> RunningTable:
        """Map a worker's running table."""
        return RunningTable.open(table_path(self.proofs(), worker.proof))

    # ── the store ────────────────────────────────────────────────────────────────────────────────────────────────────

    def membership(self) -> Membership:
        """Return who is open."""
        return self.ask(self.store.membership())

    def find(self, token: object) -> JobRow:
        """Return a job's row."""
        row: JobRow | None = self.ask(self.store.find(token_from_text(str(token))))
        assert row is not None
        return row

    def history_of(self, token: object) -> list[str]:
        """Return the kinds of a job's history entries."""
        entries: Any = self.ask(self.store.history(token_from_text(str(token))))
        return [entry.kind for entry in entries]

    def states(self, tokens: Sequence[object]) -> list[State]:
        """Return the jobs' states."""
        wanted = [token_from_text(str(token)) for token in tokens]
        states: Any = self.ask(self.store.states(wanted))
        return [states[token] for token in wanted]

    def is_done(self, token: object) -> bool:
        """Whether the job is settled."""
        return self.states([token])[0].is_final

    def wait_done(self, tokens: Sequence[object], seconds: float = 2 * PATIENCE_S) -> None:
        """Wait until all of these jobs are settled."""
        until(
            lambda: all(state.is_final for state in self.states(tokens)), f"{len(tokens)} jobs to be settled", seconds
        )

    def held(self) -> dict[str, frozenset[tuple[bytes, int]]]:
        """Return, for each open worker, what it holds: (token, fence)."""
        held = {}
        for worker in self.membership().workers:
            jobs: Any = self.ask(self.store.held(worker.id))
            held[worker.name] = frozenset((job.token, job.fence) for job in jobs)
        return held

    def waiting(self) -> int:
        """Return how many jobs wait."""
        queues: Any = self.ask(self.store.queues())
        return sum(queue.waiting for queue in queues)

    def rows(self) -> list[JobRow]:
        """Return all jobs, page by page."""
        rows: list[JobRow] = []
        while True:
            which = JobFilter(before=rows[-1].token if rows else None, limit=1_000)
            page: Any = self.ask(self.store.jobs(which))
            rows += page
            if len(page) < 1_000:
                return rows

    # ── what the handlers noted ──────────────────────────────────────────────────────────────────────────────────────

    def history(self) -> list[AnyEvent]:
        """Return what the handlers and this test noted, by time."""
        return read_history(self.log) if self.log.exists() else []

    def starts(self, token: object) -> list[Started]:
        """Return the starts of one job."""
        return [event for event in self.history() if isinstance(event, Started) and event.token == str(token)]

    def is_started(self, tokens: Sequence[object]) -> bool:
        """Whether the handlers of all these jobs have begun, at least once."""
        return {str(token) for token in tokens} <= {
            event.token for event in self.history() if isinstance(event, Started)
        }

    def wait_started(self, tokens: Sequence[object], seconds: float = PATIENCE_S) -> None:
        """Wait until the handlers of all these jobs have begun."""
        until(lambda: self.is_started(tokens), f"{len(tokens)} handlers to begin", seconds)

    def ends(self) -> list[Ended]:
        """Return the ends of all jobs."""
        return [event for event in self.history() if isinstance(event, Ended)]

    def wait_again(self, token: object, times: int, seconds: float = PATIENCE_S) -> Started:
        """Wait for the given start of a job, counted from 1, and return it."""
        return until(lambda: self.starts(token)[times - 1 :], f"start {times} of {token}", seconds)[0]


def assert_runs_again_once_its_process_is_gone(cluster: Cluster, gate: Path) -> None:
    """Let a job overrun its time limit for good; hold what follows against the engine's promise, the same on both."""
    node = cluster.node(processes=1, timeout_grace_s=0.2, grace_s=300.0)
    old = node.worker(1).pid
    token = cluster.tasks.overrun.options(retry=Retry(attempts=20, base=0.01)).submit(str(gate))

    cluster.wait_again(token, 2)
    is_old_running = is_running(old)
    gate.touch()
    cluster.wait_done([token])

    assert not is_old_running
    assert cluster.states([token]) == [State.SUCCEEDED]
    assert one_runner(cluster.history()) == []


def wait_told(name: str, log: Path) -> str:
    """Wait for the first event of this name in the log of a node that logs as JSON."""

    def lines() -> list[str]:
        whole = log.read_text().rpartition("\n")[0]
        return [line for line in whole.splitlines() if f'"event":"{name}"' in line]

    return until(lines, f"a node to tell of {name}")[0]


def marked(mark: bytes) -> list[int]:
    """Return the processes that have this line in their environment."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if mark in (entry / "environ").read_bytes().split(b"\0"):
                found.append(int(entry.name))
    return found


def stop(pid: int) -> None:
    """Stop a process and wait until it has stopped."""
    os.kill(pid, signal.SIGSTOP)
    until(lambda: state_of(pid) == "T", f"process {pid} to stop")


def resume(pid: int) -> None:
    """Let a stopped process go on."""
    os.kill(pid, signal.SIGCONT)


@contextlib.contextmanager
def stopped(pid: int) -> Iterator[None]:
    """Keep a process stopped for as long as the block lasts."""
    stop(pid)
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            resume(pid)
