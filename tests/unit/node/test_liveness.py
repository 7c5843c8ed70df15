"""Proof of life by a file lock: what others see of a process that lives, ends, forks, or has been tampered with."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from rota.node.liveness import MISSING_LOOKS, MISSING_S, Dead, FileLocks
from rota.store.port import Membership, NodeRow, WorkerRow
from rota.testing.clock import ManualClock

HOLDER = """
import os, sys, time
from rota.node.liveness import FileLocks
from rota.runtime.clock import SystemClock
locks = FileLocks(sys.argv[1], SystemClock())
locks.hold("it")
{then}
print("held", flush=True)
time.sleep(600)
"""


@pytest.fixture
def locks(tmp_path: Path, clock: ManualClock) -> FileLocks:
    return FileLocks(str(tmp_path / "proof"), clock)


def holder(locks: FileLocks, started: list[subprocess.Popen[bytes]], then: str = "") -> subprocess.Popen[bytes]:
    """Start a process that holds the proof ``it``, and wait until it does."""
    process = subprocess.Popen([sys.executable, "-c", HOLDER.format(then=then), locks.folder], stdout=subprocess.PIPE)
    started.append(process)
    assert process.stdout is not None
    with process.stdout as stdout:
        assert stdout.readline() == b"held\n"
    return process


def test_a_process_that_holds_its_lock_lives(locks: FileLocks, started: list[subprocess.Popen[bytes]]) -> None:
    """Also when it is stopped: a stopped process may go on at any moment."""
    process = holder(locks, started)

    process.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, process.pid, os.WSTOPPED)

    assert not locks.is_dead("it")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM])
def test_a_process_that_has_been_reaped_is_dead_at_once(
    locks: FileLocks, started: list[subprocess.Popen[bytes]], number: signal.Signals
) -> None:
    """The kernel drops the lock with the last thread, before the end can be noticed by anybody."""
    process = holder(locks, started)

    process.send_signal(number)
    process.wait()

    assert locks.is_dead("it")


def test_a_child_does_not_speak_for_its_dead_parent(
    locks: FileLocks, started: list[subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    """A handler may fork; the fork must not keep the dead worker's jobs from being rescued."""
    note = tmp_path / "child"
    then = f"pid = os.fork()\nif pid == 0: time.sleep(600)\nopen({str(note)!r}, 'w').write(str(pid))"
    process = holder(locks, started, then)
    child = int(note.read_text())

    process.kill()
    process.wait()
    is_dead = locks.is_dead("it")
    os.kill(child, signal.SIGKILL)

    assert is_dead


def test_looking_does_not_take_the_lock(locks: FileLocks, started: list[subprocess.Popen[bytes]]) -> None:
    """Two observers must not see each other's look."""
    process = holder(locks, started)
    process.kill()
    process.wait()

    assert [locks.is_dead("it") for _ in range(3)] == [True, True, True]


def test_a_process_never_finds_itself_dead(locks: FileLocks, clock: ManualClock) -> None:
    """Testing would mean opening the file a second time, and closing that drops the lock."""
    locks.hold("me")
    other_object = FileLocks(locks.folder, clock)

    assert not other_object.is_dead("me")
    assert seen_by_another_process(locks.folder, "me") == "alive"


def test_a_lock_file_that_was_removed_is_made_again(locks: FileLocks) -> None:
    """Somebody tidies up the folder: the holder mends it within a second, long before it counts as dead."""
    locks.hold("swept away")
    (Path(locks.folder) / "swept away.lock").unlink()

    locks.refresh()

    assert seen_by_another_process(locks.folder, "swept away") == "alive"


def test_a_lock_that_user_code_dropped_is_taken_again(locks: FileLocks) -> None:
    """Any close of any descriptor of the file drops the lock; a handler may do that without knowing."""
    locks.hold("dropped")
    os.close(os.open(Path(locks.folder) / "dropped.lock", os.O_RDONLY))
    assert seen_by_another_process(locks.folder, "dropped") == "dead"

    locks.refresh()

    assert seen_by_another_process(locks.folder, "dropped") == "alive"


def test_a_missing_file_is_evidence_only_after_long(locks: FileLocks, clock: ManualClock) -> None:
    """A database restored from a copy names holders that do not exist here: they must not hold their jobs for ever."""
    looks = [locks.is_dead("lost") for _ in range(MISSING_LOOKS + 1)]
    clock.advance(MISSING_S)

    assert not any(looks)
    assert locks.is_dead("lost")


def test_time_alone_is_no_evidence(locks: FileLocks, clock: ManualClock) -> None:
    """After a sleep of the machine the first look sees a long time and nothing else."""
    locks.is_dead("asleep")
    clock.advance(3_600)

    assert not locks.is_dead("asleep")


def test_what_cannot_be_read_is_not_evidence(locks: FileLocks) -> None:
    """A folder in the file's place stands for every error of reading."""
    (Path(locks.folder) / "odd.lock").mkdir()

    assert not locks.is_dead("odd")


def test_who_holds_no_proof_is_never_dead(locks: FileLocks, clock: ManualClock) -> None:
    """Some other policy may know; the absence of a file that never was says nothing."""
    for _ in range(MISSING_LOOKS + 1):
        clock.advance(MISSING_S)
        assert not locks.is_dead("")


def test_everyone_seen_is_judged(locks: FileLocks, started: list[subprocess.Popen[bytes]]) -> None:
    """Nodes and workers alike, each by a proof of its own."""
    process = holder(locks, started)
    locks.hold("mine")
    seen = Membership(1, [node(1, "it"), node(2, "mine")], [worker(7, "it"), worker(8, "mine")], None)
    process.kill()
    process.wait()

    dead = locks.dead(seen, 0)

    assert dead == Dead(frozenset({1}), frozenset({7}))


def test_forgetting_removes_the_file_but_never_ones_own(
    locks: FileLocks, started: list[subprocess.Popen[bytes]]
) -> None:
    """What a dead process leaves is tidied up; what lives keeps its proof."""
    process = holder(locks, started)
    locks.hold("own")
    process.kill()
    process.wait()

    locks.forget("it")
    locks.forget("own")

    assert [path.name for path in Path(locks.folder).iterdir()] == ["own.lock"]


def test_the_folder_is_nobody_elses_business(locks: FileLocks) -> None:
    """Whoever could remove or lock files here could have jobs run twice."""
    assert Path(locks.folder).stat().st_mode & 0o777 == 0o700


def seen_by_another_process(folder: str, proof: str) -> str:
    """Ask a process of its own, as every real observer is."""
    code = (
        "import sys; from rota.node.liveness import FileLocks; from rota.runtime.clock import SystemClock\n"
        "print('dead' if FileLocks(sys.argv[1], SystemClock()).is_dead(sys.argv[2]) else 'alive')"
    )
    asked = subprocess.run([sys.executable, "-c", code, folder, proof], capture_output=True, text=True, check=True)
    return asked.stdout.strip()


def node(id_: int, proof: str) -> NodeRow:
    return NodeRow(id_, f"node{id_}", proof, "{}", 0, 0, 0, False)


def worker(id_: int, proof: str) -> WorkerRow:
    return WorkerRow(id_, 1, f"node/{id_}", proof, [], [], 1, False, False, 0, 0, 0)
