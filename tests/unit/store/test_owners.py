"""Who is told first: what workers write down, and a relay reads."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rota.store.owners import Owners, forget_own, mark_changed, tell_own, write_own
from rota.store.wakes import Sockets


class Folder:
    """A node's folder, as its relay looks at it."""

    def __init__(self, path: Path, *workers: str) -> None:
        self.path = str(path)
        self.sockets = Sockets(path)
        self.owners = Owners(self.path)
        for name in workers:
            (path / name).touch()

    def read(self) -> Owners:
        self.owners.read(self.sockets.listeners())
        return self.owners


def test_a_change_is_seen_by_the_next_look_however_soon_it_comes(tmp_path: Path) -> None:
    """Two changes in a tick of the clock leave the same time of change: the second would be missed for good."""
    folder = Folder(tmp_path, "worker-1", "worker-2")
    seen = []
    for number in range(200):
        write_own(folder.path, f"worker-{1 + number % 2}", {1: [number]})
        seen.append(folder.read().of(1, number))

    assert seen == [["worker-1"], ["worker-2"]] * 100


def test_changes_within_a_tick_leave_times_of_their_own(tmp_path: Path) -> None:
    """Most kernels write down when the last tick was, and the listing of a folder is kept until that changes."""
    tick = tmp_path.stat().st_mtime_ns
    times = set()
    for _ in range(20):
        os.utime(tmp_path, ns=(tick, tick))  # What such a kernel does at each change.
        mark_changed(str(tmp_path))
        times.add(tmp_path.stat().st_mtime_ns)

    assert len(times) == 20


def test_nothing_is_read_again_while_nothing_has_changed(tmp_path: Path) -> None:
    """A relay asks at each wake-up."""
    folder = Folder(tmp_path, "worker-1")
    write_own(folder.path, "worker-1", {1: [1]})

    assert folder.sockets.listeners() is folder.sockets.listeners()


def test_a_slot_may_have_none_or_two_for_a_moment(tmp_path: Path) -> None:
    """Workers learn of a new ring one after the other."""
    folder = Folder(tmp_path, "worker-1", "worker-2")
    write_own(folder.path, "worker-1", {1: [1, 2], 5: []})
    write_own(folder.path, "worker-2", {1: [2, 3]})

    owners = folder.read()

    assert [sorted(owners.of(1, slot)) for slot in range(4)] == [
        [],
        ["worker-1"],
        ["worker-1", "worker-2"],
        ["worker-2"],
    ]
    assert owners.of(5, 1) == []
    assert owners.queues == {1, 5}
    assert sorted(owners.names) == ["worker-1", "worker-2"]


@pytest.mark.parametrize("rubbish", [None, b"", b"\xc1rubbish"])
def test_who_has_written_nothing_that_can_be_read_is_a_stranger(tmp_path: Path, rubbish: bytes | None) -> None:
    """A disk that was full, another version of rota: such a worker is told everything at once."""
    folder = Folder(tmp_path, "worker-1")
    if rubbish is not None:
        (tmp_path / "own-worker-1").write_bytes(rubbish)

    owners = folder.read()

    assert (owners.names, owners.strangers) == ([], ["worker-1"])


def test_what_cannot_be_written_leaves_nothing_that_is_out_of_date(tmp_path: Path) -> None:
    """The old file would hold up the news of what has come since."""
    folder = Folder(tmp_path, "worker-1")
    write_own(folder.path, "worker-1", {1: [1]})
    (tmp_path / "draft-worker-1").mkdir()

    write_own(folder.path, "worker-1", {1: [2]})

    assert folder.read().strangers == ["worker-1"]


def test_a_folder_that_is_gone_is_no_error(tmp_path: Path) -> None:
    """Somebody has tidied /tmp."""
    write_own(str(tmp_path / "gone"), "worker-1", {1: [1]})
    forget_own(str(tmp_path / "gone"), "worker-1")

    assert os.listdir(tmp_path) == []


def test_a_dead_worker_s_file_goes_with_its_socket(tmp_path: Path) -> None:
    """Incarnations are never used again: the folder would only grow."""
    folder = Folder(tmp_path, "worker-1", "worker-2")
    for name in ("worker-1", "worker-2"):
        write_own(folder.path, name, {1: [1]})
    os.unlink(tmp_path / "worker-1")

    owners = folder.read()

    assert owners.of(1, 1) == ["worker-2"]
    assert sorted(os.listdir(tmp_path)) == ["own-worker-2", "worker-2"]


async def test_who_stops_listening_takes_it_away(tmp_path: Path) -> None:
    """In good order nothing is left to be tidied up."""
    sockets = Sockets(tmp_path)
    stop = sockets.listen("worker-1", lambda wake: None)
    write_own(str(tmp_path), "worker-1", {1: [1]})

    stop()

    assert os.listdir(tmp_path) == []


def test_a_share_of_the_slots_tells_how_many_workers_there_are(tmp_path: Path) -> None:
    """The more there are, the later each needs to hear of what is not its own."""
    folder = Folder(tmp_path, "worker-1", "worker-2")
    alone = folder.read().workers_about
    write_own(folder.path, "worker-1", {1: range(10)})
    write_own(folder.path, "worker-2", {1: range(10, 18), 2: []})

    assert (alone, folder.read().workers_about) == (1, 102)


def test_a_store_without_a_relay_is_told_nothing() -> None:
    """On SQLite whoever commits tells everybody."""
    tell_own(object(), "worker-1", {1: [1]})
