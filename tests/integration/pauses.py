"""Hosts that stop, under load: how soon a stopped node is dead, and that nobody runs its jobs before.

python -m tests.integration.pauses --stops 10 --lease 8

Three nodes, each on a "host" of its own (see ``postgres_cluster``), and a steady stream of jobs. Again and again a supervisor
and its keeper are stopped (SIGSTOP) while their workers go on; so nothing but the kernel's timer can end them. When others have
made up for the node, its keeper goes on and starts another supervisor. All is judged by what the handlers wrote.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from random import Random

from rota.model.state import State
from tests.checkers.one_runner import one_runner
from tests.checkers.runs import Run, by_token, runs_of
from tests.checkers.settled_once import settled_once
from tests.integration.cluster import Node, resume, stop
from tests.integration.postgres_cluster import PostgresCluster
from tests.postgres_server import start_server
from tests.processes import is_running
from tests.unit.node.waiting import until

NODES = ("one", "two", "three")
PROCESSES = 2
CONCURRENCY = 2
JOB_S = 0.4
EVERY_S = 0.25
PATIENCE_S = 60.0


@dataclass(frozen=True)
class Stop:
    """One stop. Seconds since boot.

    Attributes:
        workers: The processes that ran jobs under the supervisor that was stopped.
        stopped_s: Just before the signal.
        dead_s: When the supervisor and all of its workers were first seen dead.
    """

    workers: tuple[int, ...]
    stopped_s: float
    dead_s: float


def now_s() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@contextlib.contextmanager
def load(cluster: PostgresCluster, rate: int) -> Iterator[list[object]]:
    """Submit so many jobs a second for as long as the block lasts; hand out the list of their tokens."""
    tokens: list[object] = []
    over = threading.Event()

    def submit() -> None:
        while not over.wait(EVERY_S):
            tokens.extend(cluster.tasks.beat_for.submit_many([JOB_S] * round(rate * EVERY_S)))

    thread = threading.Thread(target=submit)
    thread.start()
    try:
        yield tokens
    finally:
        over.set()
        thread.join()


def stop_and_go_on(cluster: PostgresCluster, node: Node) -> Stop:
    """Stop a node until others have made up for it."""
    row, supervisor = node.row, node.supervisor
    workers = tuple(worker.pid for worker in node.workers)
    assert row is not None
    stopped_s = now_s()
    for pid in (node.keeper.pid, supervisor):
        stop(pid)
    until(lambda: not any(map(is_running, (supervisor, *workers))), f"{node.name} to be dead", PATIENCE_S)
    dead_s = now_s()
    until(lambda: _is_made_up_for(cluster, row.id), f"others to make up for {node.name}", PATIENCE_S)
    resume(node.keeper.pid)
    until(lambda: node.is_up(PROCESSES), f"{node.name} to be back", PATIENCE_S)
    return Stop(workers, stopped_s, dead_s)


def _is_made_up_for(cluster: PostgresCluster, node_id: int) -> bool:
    seen = cluster.membership()
    return all(row.id != node_id for row in seen.nodes) and all(row.node_id != node_id for row in seen.workers)


def again(runs: Sequence[Run], one: Stop) -> list[tuple[Run, Run]]:
    """Return the runs that a stop cut off, each with the one that came after it."""
    names = {f"process {pid}" for pid in one.workers}
    pairs = []
    for of_job in by_token(runs).values():
        for before, after in pairwise(of_job):
            if before.worker in names and not before.has_ended:
                pairs.append((before, after))
    return pairs


def report(cluster: PostgresCluster, stops: Sequence[Stop], tokens: Sequence[object]) -> int:
    """Print what was seen; return 1 if a truth was broken."""
    history = cluster.history()
    runs = runs_of(history)
    print("stop   dead after   jobs cut off   last sign before death   first run elsewhere after")
    for number, one in enumerate(stops, 1):
        pairs = again(runs, one)
        sign = min((one.dead_s - before.lived / 1e9 for before, _ in pairs), default=float("nan"))
        first = min((after.began / 1e9 - one.stopped_s for _, after in pairs), default=float("nan"))
        print(f"{number:>4} {one.dead_s - one.stopped_s:>10.2f} s {len(pairs):>14} {sign:>22.3f} s {first:>25.2f} s")
    dead = sorted(one.dead_s - one.stopped_s for one in stops)
    firsts = sorted(after.began / 1e9 - one.stopped_s for one in stops for _, after in again(runs, one)) or [
        float("nan")
    ]
    broken = [*one_runner(history), *settled_once(history)]
    states = set(cluster.states(tokens))
    print(f"jobs {len(tokens):,}, runs {len(runs):,}, states {', '.join(sorted(state.value for state in states))}")
    print(f"from stop to death: {dead[0]:.2f} to {dead[-1]:.2f} s")
    print(f"from stop to the run elsewhere: {firsts[0]:.2f} to {firsts[-1]:.2f} s")
    print(f"truths broken: {len(broken)}", *broken, sep="\n  ")
    return 1 if broken or states != {State.SUCCEEDED} else 0


def main() -> int:
    """Run as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stops", type=int, default=10)
    parser.add_argument("--lease", type=float, default=8.0)
    parser.add_argument("--rate", type=int, default=24, help="jobs a second; two nodes can do 20, three 30")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    chance, server = Random(given.seed), start_server()
    with contextlib.ExitStack() as stack:
        stack.callback(server.stop)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rota-pauses-")))
        cluster = PostgresCluster(folder, server, given.lease)
        stack.callback(cluster.close)
        nodes = [
            cluster.node(name, processes=PROCESSES, concurrency=CONCURRENCY, host=name, log_format="json")
            for name in NODES
        ]
        stops = []
        with load(cluster, given.rate) as tokens:
            for _ in range(given.stops):
                node = chance.choice(nodes)
                pids = [worker.pid for worker in node.workers]
                until(lambda: _works(cluster, pids), f"{node.name} to be at work", PATIENCE_S)  # noqa: B023
                stops.append(stop_and_go_on(cluster, node))
        cluster.wait_done(tokens, 300)
        return report(cluster, stops, tokens)


def _works(cluster: PostgresCluster, pids: Sequence[int]) -> bool:
    """Whether each of these workers holds a job."""
    held = cluster.held()
    names = [worker.name for worker in cluster.membership().workers if worker.pid in pids]
    return len(names) == len(pids) and all(held.get(name) for name in names)


if __name__ == "__main__":
    sys.exit(main())
