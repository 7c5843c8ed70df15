"""Which process is meant, also when ids are used again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import msgspec

from rota.node.identity import (
    Identity,
    members_of_group,
    own_identity,
    read_identity,
    thread_states,
    watch_descriptor,
)
from tests.unit.node.waiting import until


def sleeper(**how: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], **how)  # type: ignore[call-overload, no-any-return]


def test_a_process_knows_itself() -> None:
    """Told to the store as text and read back by others."""
    me = own_identity()

    assert me.pid == os.getpid()
    assert me.started > 0
    assert read_identity(me.text) == me


def test_other_text_is_nobody() -> None:
    """Rows of other versions or engines must not break the watch."""
    assert read_identity("") is None
    assert read_identity('{"host": "mitte"}') is None


def test_processes_of_another_boot_or_container_are_not_beside() -> None:
    """Their ids mean other processes here."""
    me = own_identity()

    assert me.is_beside(msgspec.structs.replace(me, pid=1))
    assert not me.is_beside(msgspec.structs.replace(me, boot="another"))
    assert not me.is_beside(msgspec.structs.replace(me, space=1))
    assert not Identity("", 0, 1, 1).is_beside(Identity("", 0, 2, 2))


def test_an_id_that_changed_hands_is_not_watched() -> None:
    """Same id, another start time: another process."""
    me = own_identity()
    descriptor = watch_descriptor(me)

    assert descriptor is not None
    os.close(descriptor)
    assert watch_descriptor(msgspec.structs.replace(me, started=me.started + 1)) is None


def test_a_process_that_is_gone_is_not_watched(started: list[subprocess.Popen[bytes]]) -> None:
    """That it is gone proves nothing by itself: the lock says whether it is dead."""
    process = sleeper()
    process.kill()
    process.wait()

    assert watch_descriptor(Identity("", 0, process.pid, 1)) is None


def test_the_state_of_threads_is_seen(started: list[subprocess.Popen[bytes]]) -> None:
    """A stopped process has stopped threads; a dead one has none."""
    process = sleeper()
    started.append(process)
    process.send_signal(signal.SIGSTOP)

    until(lambda: set(thread_states(process.pid)) == {"T"}, "the process to be stopped")
    process.kill()
    process.wait()
    assert thread_states(process.pid) == ""


def test_only_marked_members_of_the_group_are_found(started: list[subprocess.Popen[bytes]]) -> None:
    """A group's number may belong to strangers one day: the mark in the environment tells them apart."""
    marked = sleeper(process_group=0, env=os.environ | {"ROTA_PROOF": "ab12"})
    beside = sleeper(process_group=marked.pid, env=os.environ | {"ROTA_PROOF": "ab1"})
    started += [marked, beside]

    until(lambda: members_of_group(marked.pid, "ROTA_PROOF=ab1") == [beside.pid], "both to be executed")
    assert members_of_group(marked.pid, "ROTA_PROOF=ab12") == [marked.pid]
    assert members_of_group(os.getpgrp(), "ROTA_PROOF=ab12") == []
