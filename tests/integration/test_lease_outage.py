"""The database is away: nothing is stopped for a short outage, nothing runs on in a long one, and all goes on by itself."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from rota.model.state import State
from rota.node.unfenced import store_loss
from tests.checkers.one_runner import one_runner
from tests.integration.cluster import stopped, wait_told
from tests.integration.postgres_cluster import PostgresCluster
from tests.postgres_server import server_or_skip, start_server
from tests.processes import is_running
from tests.tcp_proxy import TcpProxy
from tests.unit.node.waiting import until

pytestmark = [pytest.mark.slow(seconds=7), pytest.mark.timed]

LEASE_S = 3.0
WHOLE_LEASE_S = 8.0
"""The usual one, where a part of it is all that a busy node has for what it must do: half a second is not 0.2 s."""
SLACK_S = 1.0


@pytest.fixture
def lease_s() -> float:
    return LEASE_S


@pytest.fixture
def cluster(tmp_path: Path, lease_s: float) -> Iterator[PostgresCluster]:
    made = PostgresCluster(tmp_path, server_or_skip(), lease_s)
    yield made
    made.close()


@pytest.fixture
def net(cluster: PostgresCluster) -> TcpProxy:
    """The network between a node and the server; this process does not go through it."""
    return cluster.proxied()


def now_s() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@pytest.mark.parametrize("lease_s", [WHOLE_LEASE_S])
def test_an_outage_shorter_than_the_fence_stops_no_job(
    cluster: PostgresCluster, net: TcpProxy, gate: Path, lease_s: float
) -> None:
    """Silence for as long as is promised; the job's run that was there before is the one that ends."""
    node = cluster.node("mitte", processes=1, concurrency=1, address=net.url_of(cluster.address))
    token = cluster.tasks.beat.submit(str(gate))
    cluster.wait_started([token])
    pid = node.worker().pid

    over_at = now_s() + lease_s * 2.5 / 8
    cluster.do(net.black_hole)
    until(lambda: now_s() >= over_at, "the outage to be over")
    cluster.do(net.clear)
    gate.touch()

    cluster.wait_done([token])
    assert len(cluster.starts(token)) == 1
    assert is_running(pid)
    assert cluster.history_of(token) == []


def test_a_server_that_dies_and_comes_back_stops_no_job(tmp_path: Path, gate: Path) -> None:
    """All connections break, new ones are refused, then it recovers: a usual restart."""
    server = start_server()
    cluster = PostgresCluster(tmp_path, server, lease_s=30)  # a busy machine recovers slowly
    try:
        node = cluster.node("mitte", processes=1, concurrency=1)
        token = cluster.tasks.beat.submit(str(gate))
        cluster.wait_started([token])
        pid = node.worker().pid

        server.kill()
        server.start()
        gate.touch()

        cluster.wait_done([token])
        assert len(cluster.starts(token)) == 1
        assert is_running(pid)
    finally:
        cluster.close()
        server.stop()


@pytest.mark.parametrize("lease_s", [WHOLE_LEASE_S])
def test_a_longer_outage_stops_the_workers_and_nothing_else(
    cluster: PostgresCluster, net: TcpProxy, gate: Path, lease_s: float
) -> None:
    """The supervisor stays, asks on, and starts workers when it is answered; the jobs were nobody's crash."""
    node = cluster.node("mitte", processes=2, concurrency=2, address=net.url_of(cluster.address))
    tokens = cluster.tasks.beat.submit_many([str(gate)] * 4)
    cluster.wait_started(tokens)
    supervisor, pids = node.supervisor, [node.worker(number).pid for number in (1, 2)]

    cluster.do(net.black_hole)
    until(lambda: not any(is_running(pid) for pid in pids), "its workers to be stopped", lease_s * 5 / 8 + SLACK_S)
    fence_s = now_s() + lease_s / 8
    until(lambda: now_s() > fence_s, "the fence's time to pass")
    assert is_running(supervisor)
    cluster.do(net.clear)

    for token in tokens:
        cluster.wait_again(token, 2)
    gate.touch()
    cluster.wait_done(tokens)
    assert node.supervisor == supervisor
    assert {cluster.find(token).crashes for token in tokens} == {0}
    assert {kind for token in tokens for kind in cluster.history_of(token)} == {"released"}
    assert one_runner(cluster.history()) == []


def test_a_node_that_is_cut_off_stops_before_others_start_and_begins_anew(
    cluster: PostgresCluster, net: TcpProxy, gate: Path
) -> None:
    """Only its own way to the server is gone: to the others it looks dead, and it must be."""
    cut_off = cluster.node("cut", processes=1, concurrency=2, address=net.url_of(cluster.address), host="one")
    tokens = cluster.tasks.beat.submit_many([str(gate)] * 2)
    cluster.wait_started(tokens)
    cluster.node("other", processes=1, concurrency=4, host="two")
    old = cut_off.supervisor

    cluster.do(net.black_hole)
    for token in tokens:
        cluster.wait_again(token, 2, LEASE_S + 2 + SLACK_S)
    cluster.do(net.clear)

    until(lambda: cut_off.row and cut_off.supervisor != old and cut_off.is_up(1), "a new incarnation")
    assert not is_running(old)
    gate.touch()
    cluster.wait_done(tokens)
    assert one_runner(cluster.history()) == []


def test_who_chose_to_run_on_is_refused_its_result_when_it_arrives_late(tmp_path: Path, gate: Path) -> None:
    """P4 was given up by name, so both run; P2 and P3 hold: the second settle is refused, and that is told.

    Its worker is heard again before its supervisor has heard that the node was closed, and ends it.
    """
    cluster = PostgresCluster(tmp_path, server_or_skip(), LEASE_S, ROTA_ON_STORE_LOSS="run")
    try:
        net = cluster.proxied()
        address = net.url_of(cluster.address)
        log = tmp_path / "late.log"
        late = cluster.node("late", processes=1, concurrency=1, host="one", address=address, log=log, log_format="json")
        token = cluster.tasks.beat.submit(str(gate))
        cluster.wait_started([token])
        supervisor, pid = late.supervisor, late.worker().pid
        cluster.node("other", processes=1, concurrency=1, host="two")
        assert store_loss(cluster.membership().nodes, "stop").says.startswith("late, other: ")

        cluster.do(net.black_hole)
        winner = cluster.wait_again(token, 2, LEASE_S + 2 + SLACK_S)
        until(lambda: one_runner(cluster.history()), "both runs to be seen alive at once")
        assert is_running(pid)
        gate.touch()
        cluster.wait_done([token])
        until(lambda: len(cluster.ends()) == 2, "the first run to end, too")
        with stopped(supervisor):
            cluster.do(net.clear)
            until(lambda: "stale" in cluster.history_of(token), "the late result to be refused")
            event = wait_told("job.stale", log)

        row = cluster.find(token)
        assert (row.state, row.fence) == (State.SUCCEEDED, winner.fence)
        assert msgspec.json.decode(event)["token"] == str(token)
        assert msgspec.json.decode(event)["fence"] < winner.fence
    finally:
        cluster.close()


def test_a_keeper_waits_for_a_store_that_its_node_had_reached(
    cluster: PostgresCluster, net: TcpProxy, gate: Path
) -> None:
    """A supervisor that died in an outage is started again and asks until there is an answer."""
    gate.touch()
    node = cluster.node("mitte", processes=1, address=net.url_of(cluster.address))
    old = node.supervisor

    def refuse() -> None:
        net.refuses = True
        net.reset()

    cluster.do(refuse)
    os.kill(old, signal.SIGKILL)
    asked = net.accepted
    until(lambda: net.accepted > asked + 3, "the new supervisor to ask in vain")
    assert node.keeper.poll() is None
    cluster.do(net.clear)

    until(lambda: node.row and node.supervisor != old and node.is_up(1), "the node to be back")
    token = cluster.tasks.beat.submit(str(gate))
    cluster.wait_done([token])
