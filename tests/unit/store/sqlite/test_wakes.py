"""Wake-ups between processes: sockets that come and go, long paths, full queues."""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path

import msgspec
import pytest

from rota.store.port import Wake, Woken
from rota.store.sqlite.wakes import InProcess
from rota.store.wakes import Sockets, parts_for
from tests.unit.store.sqlite.conftest import Opener

WORK = Wake(woken=(Woken(queue_id=1, slot=2, place=3),))


class Ear:
    """Hears, and can be waited for."""

    def __init__(self) -> None:
        self.heard: list[Wake] = []
        self._news = asyncio.Event()

    def __call__(self, wake: Wake) -> None:
        # A datagram brings lists where the sender may have had tuples.
        parts = {
            name: tuple(part) for name in ("woken", "cancels", "settled") if (part := getattr(wake, name)) is not None
        }
        self.heard.append(msgspec.structs.replace(wake, **parts))
        self._news.set()

    async def next(self) -> Wake:
        async with asyncio.timeout(10):
            while not self.heard:
                self._news.clear()
                await self._news.wait()
        return self.heard.pop(0)


@pytest.mark.parametrize(
    ("kind", "wake", "expected"),
    [
        ("worker", WORK, WORK),
        ("worker", Wake(woken=None), Wake(woken=None)),
        ("worker", Wake(cancels=[b"t"]), Wake(cancels=[b"t"])),
        ("worker", Wake(is_epoch=True), Wake(is_epoch=True)),
        ("worker", Wake(settled=[b"t"]), None),
        ("worker", Wake(is_alone=True), None),
        ("node", WORK, None),
        ("node", Wake(woken=WORK.woken, is_epoch=True, is_alone=True), Wake(is_epoch=True, is_alone=True)),
        ("wait", WORK, None),
        ("wait", Wake(woken=None, settled=[b"t"]), Wake(settled=[b"t"])),
        ("wait", Wake(settled=None), Wake(settled=None)),
        ("stranger", Wake(woken=None, settled=None, is_epoch=True), None),
    ],
)
def test_everybody_hears_what_concerns_it(kind: str, wake: Wake, expected: Wake | None) -> None:
    """Ten waiting web requests need not wake up for each job that is submitted."""
    assert parts_for(kind, wake) == expected


async def test_what_is_told_in_one_handle_is_heard_in_another(tmp_path: Path) -> None:
    """Two processes have nothing in common but the folder."""
    here, there = Sockets(tmp_path / "wake"), Sockets(tmp_path / "wake")
    ear = Ear()
    there.listen("worker-1", ear)

    here.tell(WORK)

    assert await ear.next() == WORK
    here.close()
    there.close()


async def test_a_new_listener_is_seen_at_once(tmp_path: Path) -> None:
    """The list of the folder is kept; a change within the same tick of the clock must not be missed."""
    here, there = Sockets(tmp_path / "wake"), Sockets(tmp_path / "wake")
    for number in range(50):
        ear = Ear()
        there.listen(f"worker-{number}", ear)

        here.tell(WORK)

        assert await ear.next() == WORK
    here.close()
    there.close()


async def test_one_can_be_left_out(tmp_path: Path) -> None:
    """A worker hears of its own settle by the reply."""
    wakes = Sockets(tmp_path / "wake")
    mine, other = Ear(), Ear()
    wakes.listen("worker-1", mine)
    wakes.listen("worker-2", other)

    wakes.tell(WORK, but="worker-1")
    wakes.tell(Wake(is_epoch=True))

    assert (await other.next(), await other.next()) == (WORK, Wake(is_epoch=True))
    assert await mine.next() == Wake(is_epoch=True)
    wakes.close()


async def test_who_stops_hears_no_more_and_leaves_no_socket(tmp_path: Path) -> None:
    """A folder that only grows would be told of for ever."""
    wakes = Sockets(tmp_path / "wake")
    gone, there = Ear(), Ear()
    stop = wakes.listen("worker-1", gone)
    wakes.listen("worker-2", there)
    stop()
    stop()

    wakes.tell(WORK)

    assert await there.next() == WORK
    assert gone.heard == []
    assert os.listdir(tmp_path / "wake") == ["worker-2"]
    wakes.close()


async def test_the_socket_of_a_dead_process_is_taken_away(tmp_path: Path) -> None:
    """Nobody who was killed can clean up."""
    folder = tmp_path / "wake"
    folder.mkdir()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as dead:
        dead.bind(str(folder / "worker-1"))
    wakes = Sockets(folder)

    wakes.tell(WORK)

    assert os.listdir(folder) == []
    wakes.close()


async def test_the_name_of_a_dead_process_can_be_used_again(tmp_path: Path) -> None:
    """Waiting for somebody to notice would cost the wake-ups until then."""
    folder = tmp_path / "wake"
    folder.mkdir()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as dead:
        dead.bind(str(folder / "wait-1"))
    wakes, ear = Sockets(folder), Ear()

    wakes.listen("wait-1", ear)
    wakes.tell(Wake(settled=[b"t"]))

    assert await ear.next() == Wake(settled=(b"t",))
    wakes.close()


async def test_a_path_that_is_too_long_for_a_socket_works(tmp_path: Path) -> None:
    """The kernel takes 107 bytes; people have longer home folders."""
    folder = tmp_path / ("long" * 40) / "wake"
    wakes, ear = Sockets(folder), Ear()
    wakes.listen("worker-1", ear)

    wakes.tell(WORK)

    assert await ear.next() == WORK
    wakes.close()


async def test_a_wake_up_that_names_too_much_says_everything(tmp_path: Path) -> None:
    """A datagram has a largest size."""
    wakes, worker, waiting = Sockets(tmp_path / "wake"), Ear(), Ear()
    wakes.listen("worker-1", worker)
    wakes.listen("wait-1", waiting)

    wakes.tell(
        Wake(
            woken=[Woken(queue_id=1, slot=slot % 1_024, place=2**59 + slot) for slot in range(9_000)],
            settled=[number.to_bytes(16, "big") for number in range(9_000)],
            is_epoch=True,
        )
    )

    assert await worker.next() == Wake(woken=None, is_epoch=True, from_place=2**59)
    assert await waiting.next() == Wake(settled=None)
    wakes.close()


async def test_who_was_told_too_much_to_remember_looks_everywhere(tmp_path: Path) -> None:
    """The kernel keeps ten datagrams; what came after them is lost, and must not stay unseen."""
    wakes, ear = Sockets(tmp_path / "wake"), Ear()
    wakes.listen("worker-1", ear)

    for _ in range(40):
        wakes.tell(WORK)
    await ear.next()

    assert ear.heard[-1] == Wake(woken=None, settled=None)
    wakes.close()


async def test_rubbish_is_not_heard(tmp_path: Path) -> None:
    """Another version of rota, or a stranger, may write to the socket."""
    wakes, ear = Sockets(tmp_path / "wake"), Ear()
    wakes.listen("worker-1", ear)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as stranger:
        stranger.sendto(b"\xc1rubbish", str(tmp_path / "wake" / "worker-1"))

    wakes.tell(WORK)

    assert await ear.next() == WORK
    wakes.close()


async def test_telling_nobody_is_fine(tmp_path: Path) -> None:
    """A program that only submits has no folder yet."""
    wakes = Sockets(tmp_path / "nowhere" / "wake")

    wakes.tell(WORK)

    assert not (tmp_path / "nowhere").exists()
    wakes.close()


async def test_in_memory_the_same_is_heard() -> None:
    """Tests of users run on it; they must see what production sees."""
    wakes, mine, other = InProcess(), Ear(), Ear()
    wakes.listen("worker-1", mine)
    stop = wakes.listen("worker-2", other)

    wakes.tell(WORK, but="worker-1")
    await asyncio.to_thread(wakes.tell, Wake(is_epoch=True))

    assert (await other.next(), await other.next()) == (WORK, Wake(is_epoch=True))
    assert await mine.next() == Wake(is_epoch=True)
    stop()
    wakes.tell(WORK)
    assert await mine.next() == WORK
    assert other.heard == []


async def test_who_opens_a_link_is_heard_by_who_opens_the_file(open_store: Opener, path: str, tmp_path: Path) -> None:
    """`current/shop.db` of one release, and the file itself: a job that is submitted by one wakes up the other's worker."""
    store = open_store()
    folder, link = tmp_path / "current", tmp_path / "linked.db"
    folder.symlink_to(tmp_path)
    link.symlink_to(path)
    ear = Ear()
    stop = store.listen("worker-1", ear)

    for place in (link, folder / "shop.db", folder / "linked.db"):
        open_store(str(place)).tell(WORK)
        assert await ear.next() == WORK

    stop()
    assert [name for name in os.listdir(tmp_path) if name.endswith(".d")] == ["shop.db.d"]
