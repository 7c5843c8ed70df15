"""A node whose host loses its network: its jobs are run by others, and never before it has stopped them itself (P3, P4)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TypeGuard

import psycopg
import pytest

from rota.model.state import State
from tests.checkers.history import Alive, AnyEvent, Started
from tests.checkers.one_runner import one_runner
from tests.integration.cluster import Node
from tests.integration.postgres_cluster import PostgresCluster
from tests.integration.wires import End, Wire, wires_or_skip
from tests.postgres_server import PostgresServer, binaries_or_skip
from tests.processes import is_running
from tests.unit.node.waiting import until

pytestmark = [pytest.mark.slow(seconds=9), pytest.mark.timed]

LEASE_S = 3.0
STOP_S = LEASE_S * 5 / 8
SLACK_S = 1.0
"""For a machine that is busy with other things."""


@pytest.fixture(scope="module")
def wires() -> Iterator[list[Wire]]:
    """Three hosts."""
    binaries_or_skip()
    with wires_or_skip(3) as made:
        yield made


@pytest.fixture(scope="module")
def server(wires: list[Wire]) -> Iterator[PostgresServer]:
    """A server of this test's own that listens at the near ends of their wires and trusts the hosts, and nobody else."""
    addresses = ",".join(["127.0.0.1", *(wire.server_ip for wire in wires)])
    made = PostgresServer.start_own(settings={"listen_addresses": addresses})
    try:
        _trust(made.url, wires)
        yield made
    finally:
        made.stop()


def _trust(url: str, wires: list[Wire]) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        (rules,) = connection.execute("SHOW hba_file").fetchone() or ("",)
        with Path(rules).open("a") as file:
            file.writelines(f"host all all {wire.host_ip}/32 trust\n" for wire in wires)
        connection.execute("SELECT pg_reload_conf()")


def start(cluster: PostgresCluster, wire: Wire, name: str, concurrency: int) -> Node:
    """Start a node with one worker on the host at the end of this wire."""
    address = cluster.address.replace("127.0.0.1", wire.server_ip)
    return cluster.node(name, processes=1, concurrency=concurrency, under=wire.inside, address=address, host=name)


def now_s() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def last_sign_s(cluster: PostgresCluster, pid: int) -> float:
    """Return when a job of this worker last showed life."""
    began = {(event.token, event.fence) for event in cluster.history() if is_by(event, pid)}
    beats = [event for event in cluster.history() if isinstance(event, Alive)]
    return max(event.at for event in beats if (event.token, event.fence) in began) / 1e9


def is_by(event: AnyEvent, pid: int) -> TypeGuard[Started]:
    return isinstance(event, Started) and event.worker == f"process {pid}"


def wait_dead(pids: list[int]) -> list[float]:
    """Wait until these workers are dead; return when each was first seen to be."""
    seen: dict[int, float] = {}

    def look() -> bool:
        for pid in pids:
            if not is_running(pid):
                seen.setdefault(pid, now_s())
        return len(seen) == len(pids)

    until(look, f"workers {pids} to be dead", STOP_S + SLACK_S)
    return [seen[pid] for pid in pids]


def test_hosts_without_network_stop_their_jobs_before_others_start_them(
    tmp_path: Path, server: PostgresServer, wires: list[Wire], gate: Path
) -> None:
    """One host's packets vanish, the other cannot even send any; nobody tells them that they are taken for dead.

    With their network back, they work again.
    """
    with closing(PostgresCluster(tmp_path, server, LEASE_S)) as cluster:
        lost = [start(cluster, wires[number], f"lost{number}", 2) for number in range(2)]
        tokens = cluster.tasks.beat.submit_many([str(gate)] * 4)
        cluster.wait_started(tokens)
        start(cluster, wires[2], "other", 8)
        supervisors, pids = [node.supervisor for node in lost], [node.worker().pid for node in lost]

        ends: list[tuple[Wire, End]] = [(wires[0], "server"), (wires[1], "host")]
        cut_s = now_s()
        for wire, end in ends:
            wire.cut(end)
        try:
            dead_s = wait_dead(pids)
            for token in tokens:
                cluster.wait_again(token, 2, LEASE_S + 2 + SLACK_S)
        finally:
            for wire, end in ends:
                wire.mend(end)

        for pid, dead, (_, end) in zip(pids, dead_s, ends, strict=True):
            own = [token for token in tokens if is_by(cluster.starts(token)[0], pid)]
            first, last = min(cluster.starts(token)[1].at for token in own) / 1e9, last_sign_s(cluster, pid)
            print(
                f"cut at the {end}'s end: last sign of its jobs after {last - cut_s:.2f} s, worker seen dead after "
                f"{dead - cut_s:.2f} s, first run elsewhere after {first - cut_s:.2f} s"
            )
            assert last <= dead < first
        for node, old in zip(lost, supervisors, strict=True):
            until(lambda: node.row and node.supervisor != old and node.is_up(1), "a new incarnation")  # noqa: B023
        more = cluster.tasks.beat.submit_many([str(gate)] * 8)  # the other node has hands for four of them
        cluster.wait_started(more)
        for node in lost:
            assert any(is_by(cluster.starts(token)[0], node.worker().pid) for token in more)
        gate.touch()
        cluster.wait_done([*tokens, *more])
        assert set(cluster.states([*tokens, *more])) == {State.SUCCEEDED}
        assert one_runner(cluster.history()) == []
