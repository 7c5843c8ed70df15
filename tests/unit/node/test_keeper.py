"""The keeper, with a stand-in for the supervisor."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import apsw
import msgspec
import pytest

from rota.node.identity import thread_states
from rota.node.keeper import deaths_in_a_row, wait_s
from rota.node.order import NodeOrder
from tests.processes import is_running
from tests.unit.node.waiting import PATIENCE_S, until

KEEPER = """
import sys, msgspec
from rota.node.keeper import Keeper
from rota.node.order import NodeOrder
from rota.app.write_lock import holds_write_lock
from rota.telemetry.telemetry import Telemetry
order = msgspec.json.decode(sys.argv[1], type=NodeOrder)
locked = lambda pid: holds_write_lock(pid, order.settings["database"]) if order.settings else None
sys.exit(Keeper(order, "tests.unit.node.standin_supervisor", Telemetry(), holds_lock=locked).run())
"""

WAITS = "import rota.node.keeper\nrota.node.keeper.wait_s = lambda deaths: 600.0\n" + KEEPER
"""After its supervisor's first death it waits for longer than any test: what comes then comes during the wait."""

Noted = Callable[[str], list[int]]


@pytest.fixture
def keep(
    tmp_path: Path, started: list[subprocess.Popen[bytes]], noted: Noted
) -> Iterator[Callable[[str], subprocess.Popen[bytes]]]:
    """Start a keeper whose supervisor behaves as said; pids are noted in ``pids``."""

    def start(behaviour: str, code: str = KEEPER, **settings: str) -> subprocess.Popen[bytes]:
        order = NodeOrder(
            store=str(tmp_path / "pids"), app=behaviour, name="mitte", write_limit_s=1.0, settings=dict(settings)
        )
        process = subprocess.Popen([sys.executable, "-c", code, msgspec.json.encode(order).decode()])
        started.append(process)
        return process

    yield start

    # One that is stopped would not hear that its keeper is killed now, and stay for ever.
    for supervisor in noted("pids"):
        with contextlib.suppress(ProcessLookupError):
            os.kill(supervisor, signal.SIGCONT)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals_are_passed_on_and_the_exit_code_is_the_supervisors(
    keep: Callable[[str], subprocess.Popen[bytes]], noted: Noted, number: signal.Signals
) -> None:
    """Whoever stops the keeper means the node."""
    keeper = keep("wait")
    until(lambda: noted("pids"), "the supervisor to run")

    keeper.send_signal(number)

    assert keeper.wait(PATIENCE_S) == 3
    assert noted("pids.signals") == [number]


def test_a_stopped_supervisor_hears_the_signal_too(
    keep: Callable[[str], subprocess.Popen[bytes]], noted: Noted
) -> None:
    """Whoever stops a node should not have to find out first that its supervisor stands still."""
    keeper = keep("wait")
    (supervisor,) = until(lambda: noted("pids"), "the supervisor to run")
    os.kill(supervisor, signal.SIGSTOP)

    keeper.send_signal(signal.SIGTERM)

    assert keeper.wait(PATIENCE_S) == 3


def test_a_supervisor_stopped_in_a_write_is_ended_and_replaced(
    keep: Callable[..., subprocess.Popen[bytes]], noted: Noted, tmp_path: Path
) -> None:
    """It holds the lock that everybody needs; one that is stopped elsewhere is left alone, as one that works is."""
    database = str(tmp_path / "shop.db")
    db = apsw.Connection(database)
    db.pragma("journal_mode", "wal")
    db.execute("CREATE TABLE jobs (n)")
    keep("write", database=database)
    until(lambda: noted("pids.writing"), "the supervisor to have the lock")
    (first,) = until(lambda: noted("pids"), "the supervisor to run")
    db.set_busy_timeout(30_000)

    os.kill(first, signal.SIGSTOP)
    db.execute("INSERT INTO jobs VALUES (1)")
    second = until(lambda: noted("pids")[1:], "another supervisor")[0]
    os.kill(second, signal.SIGSTOP)
    until(lambda: "T" in thread_states(second), "the other to be stopped")
    waited = time.monotonic()
    until(lambda: time.monotonic() > waited + 2.0, "twice the limit of a write to pass")

    assert not is_running(first)
    assert is_running(second), "it holds nobody up"
    db.close()


def test_a_supervisor_that_was_killed_is_started_again(
    keep: Callable[[str], subprocess.Popen[bytes]], noted: Noted
) -> None:
    """The first time at once: the node's jobs wait for it."""
    keeper = keep("wait")
    (first,) = until(lambda: noted("pids"), "the supervisor to run")

    os.kill(first, signal.SIGKILL)

    second = until(lambda: noted("pids")[1:], "another supervisor")
    assert is_running(second[0])
    assert keeper.poll() is None


def test_a_signal_ends_the_wait_for_the_next_start(
    keep: Callable[[str, str], subprocess.Popen[bytes]], noted: Noted
) -> None:
    """Nobody waits half a minute to stop a node that cannot start."""
    keeper = keep("exit 1", WAITS)
    until(lambda: has_died(noted), "a start in vain, after which it waits")

    keeper.send_signal(signal.SIGTERM)

    keeper.wait(PATIENCE_S)
    assert len(noted("pids")) == 1


@pytest.mark.parametrize("code", [0, 2, 69, 78])
def test_what_cannot_be_mended_by_starting_again_is_passed_on(
    keep: Callable[[str], subprocess.Popen[bytes]], noted: Noted, code: int
) -> None:
    """A wrong configuration is told once, not for ever."""
    keeper = keep(f"exit {code}")

    assert keeper.wait(PATIENCE_S) == code
    assert len(noted("pids")) == 1


def test_a_store_that_was_there_is_waited_for(keep: Callable[[str], subprocess.Popen[bytes]], noted: Noted) -> None:
    """Only at the very first start no store means a wrong address; later it means that it is away."""
    keeper = keep("exit 1, then 69")

    until(lambda: noted("pids")[2:], "a start after one that found no store")

    assert keeper.poll() is None
    assert noted("pids.again")[:3] == [0, 1, 1]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_asked_to_end_while_nobody_is_there_it_ends_in_good_order(
    keep: Callable[[str, str], subprocess.Popen[bytes]], noted: Noted, number: signal.Signals
) -> None:
    """That its supervisor had been killed was told when it happened; to stop a node is no failure."""
    keeper = keep("die", WAITS)
    until(lambda: has_died(noted), "a death, after which it waits")

    keeper.send_signal(number)

    assert keeper.wait(PATIENCE_S) == 0


def has_died(noted: Noted) -> bool:
    """Whether the supervisor has run, and has been reaped."""
    pids = noted("pids")
    return bool(pids) and not Path(f"/proc/{pids[0]}").exists()


def test_a_drain_that_was_cut_short_is_told_by_the_code(
    keep: Callable[[str], subprocess.Popen[bytes]], noted: Noted
) -> None:
    """The supervisor had been asked and was killed over it: that was no good order."""
    keeper = keep("die when asked")
    until(lambda: noted("pids"), "the supervisor to run")

    keeper.send_signal(signal.SIGTERM)

    assert keeper.wait(PATIENCE_S) == 128 + signal.SIGKILL


def test_orphans_are_reaped(keep: Callable[[str], subprocess.Popen[bytes]], noted: Noted, tmp_path: Path) -> None:
    """As process 1 of a container the keeper is whom the orphans come to; here it is made their parent by name."""
    code = KEEPER.replace("import sys, msgspec", "import sys, msgspec, ctypes; ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)")
    order = NodeOrder(store=str(tmp_path / "pids"), app="with a child", name="mitte")
    keeper = subprocess.Popen([sys.executable, "-c", code, msgspec.json.encode(order).decode()])
    try:
        (supervisor,) = until(lambda: noted("pids"), "the supervisor to run")
        (orphan,) = until(lambda: noted("pids.children"), "its child")

        os.kill(supervisor, signal.SIGKILL)

        until(lambda: not Path(f"/proc/{orphan}").exists(), "the orphan to be reaped")
    finally:
        keeper.terminate()
        keeper.wait(PATIENCE_S)


def test_a_keeper_whose_children_were_to_be_ignored_sees_their_deaths(
    started: list[subprocess.Popen[bytes]], noted: Noted, tmp_path: Path
) -> None:
    """Some launchers ignore SIGCHLD, and what they start inherits it: then the kernel tells nobody of a death."""
    order = NodeOrder(store=str(tmp_path / "pids"), app="wait", name="mitte")
    code = "import signal; signal.signal(signal.SIGCHLD, signal.SIG_IGN)" + KEEPER
    started.append(subprocess.Popen([sys.executable, "-c", code, msgspec.json.encode(order).decode()]))
    (first,) = until(lambda: noted("pids"), "the supervisor to run")

    os.kill(first, signal.SIGKILL)

    until(lambda: noted("pids")[1:], "another supervisor")
    started[-1].send_signal(signal.SIGTERM)
    assert started[-1].wait(PATIENCE_S) == 3


def test_under_nohup_the_end_of_a_terminal_ends_no_node(
    started: list[subprocess.Popen[bytes]], noted: Noted, tmp_path: Path
) -> None:
    """`nohup rota run … &`, and the laptop is closed."""
    order = NodeOrder(store=str(tmp_path / "pids"), app="wait", name="mitte")
    code = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)" + KEEPER
    keeper = subprocess.Popen([sys.executable, "-c", code, msgspec.json.encode(order).decode()])
    started.append(keeper)
    until(lambda: noted("pids"), "the supervisor to run")

    keeper.send_signal(signal.SIGHUP)
    keeper.send_signal(signal.SIGTERM)

    assert keeper.wait(PATIENCE_S) == 3
    assert noted("pids.signals") == [signal.SIGTERM]


def test_a_node_for_which_no_process_can_be_made_is_started_later(
    started: list[subprocess.Popen[bytes]], noted: Noted, tmp_path: Path
) -> None:
    """A handler uses up all processes that the container may have, and the supervisor dies of it: the keeper must not."""
    order = NodeOrder(store=str(tmp_path / "pids"), app="exit 0", name="mitte")
    refusing = """
import subprocess
start, tries = subprocess.Popen, []
def refuse_once(*args, **options):
    tries.append(args)
    if len(tries) == 1:
        raise BlockingIOError(11, "Resource temporarily unavailable")
    return start(*args, **options)
subprocess.Popen = refuse_once
"""
    started.append(subprocess.Popen([sys.executable, "-c", refusing + KEEPER, msgspec.json.encode(order).decode()]))

    assert started[-1].wait(PATIENCE_S) == 0
    assert len(noted("pids")) == 1


def test_waits_between_starts_grow_to_half_a_minute() -> None:
    """At once a few times, then slower and slower: a broken node must not eat a core."""
    assert [wait_s(deaths) for deaths in range(1, 12)] == [0, 0, 0, 0.5, 1, 2, 4, 8, 16, 30, 30]


def test_a_supervisor_that_was_at_work_is_followed_at_once() -> None:
    """Killed every ten seconds, it must not leave its jobs to wait longer each time; dying at its start, it must not spin."""
    deaths = 0
    for _ in range(6):
        deaths = deaths_in_a_row(deaths, lived_s=10.0)
        assert wait_s(deaths) == 0
    for _ in range(5):
        deaths = deaths_in_a_row(deaths, lived_s=0.3)
    assert wait_s(deaths) == 2
