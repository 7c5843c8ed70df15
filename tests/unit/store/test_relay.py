"""The relay: what is heard by one is told to all of its node, first to whom it means, or with what comes in the same moment."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rota.store.owners import Own, write_own
from rota.store.port import Wake, Woken
from rota.store.relay import Relay, relay, relay_folder, tell_relay
from rota.store.wakes import Sockets, lowest_place, merged

woken = st.none() | st.lists(st.builds(Woken, st.integers(1, 2), st.integers(0, 3), st.integers(0, 9)), max_size=6)
tokens = st.lists(st.binary(min_size=1, max_size=2), max_size=3)
wakes = st.builds(
    Wake, woken, tokens, st.none() | tokens, st.booleans(), st.booleans(), st.integers(0, 9), st.booleans()
)


def claims_less(says: Wake, than: Wake) -> bool:
    """Whether a listener who heard ``says`` could overlook something that ``than`` told."""
    if says.is_staged and not than.is_staged and than.woken != []:
        return True
    if says.woken is None and says.from_place > lowest_place(than):
        return True
    if says.woken is not None:
        if than.woken is None:
            return True
        places = {(news.queue_id, news.slot): news.place for news in says.woken}
        if any(places.get((news.queue_id, news.slot), 10) > news.place for news in than.woken):
            return True
    if says.settled is not None and (than.settled is None or not set(than.settled) <= set(says.settled)):
        return True
    return (
        not set(than.cancels) <= set(says.cancels)
        or says.is_epoch < than.is_epoch
        or says.is_alone < than.is_alone
    )  # fmt: skip


@given(first=wakes, second=wakes)
def test_two_taken_together_say_all_that_each_said(first: Wake, second: Wake) -> None:
    """A slot's cursor goes back to the lowest place that anybody named."""
    both = merged(first, second)

    assert not claims_less(both, first)
    assert not claims_less(both, second)


@given(first=wakes, second=wakes)
def test_two_taken_together_say_no_more_than_they_must(first: Wake, second: Wake) -> None:
    """To look everywhere for nothing is what the names of slots are there to spare."""
    both = merged(first, second)

    if both.woken is None:
        assert both.from_place == min(lowest_place(first), lowest_place(second))
    assert (both.woken is None) == (first.woken is None or second.woken is None)
    assert len({(news.queue_id, news.slot) for news in both.woken or ()}) == len(both.woken or ())


class Ears:
    """Listeners in a folder."""

    def __init__(self, folder: str, *names: str) -> None:
        self.heard: dict[str, list[Wake]] = {name: [] for name in names}
        self.sockets = Sockets(Path(folder))
        for name in names:
            self.sockets.listen(name, self.heard[name].append)

    async def until(self, is_it: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not is_it():
                await asyncio.sleep(0.001)


def _work(slot: int) -> Wake:
    return Wake(woken=[Woken(1, slot, 0)])


async def test_everybody_of_the_node_hears_what_concerns_it(tmp_path: Path) -> None:
    """Workers of slots, those who wait of results."""
    folder = relay_folder(str(tmp_path), 7)
    ears = Ears(folder, "worker-1", "worker-2", "wait-1")
    relaying = Relay(folder)
    relaying.pass_on(Wake(woken=[Woken(1, 2, 3)], settled=[b"t"]))
    await ears.until(lambda: all(ears.heard.values()))
    relaying.close()
    ears.sockets.close()

    assert [[wake.woken for wake in ears.heard[f"worker-{number}"]] for number in (1, 2)] == [[[Woken(1, 2, 3)]]] * 2
    assert [wake.settled for wake in ears.heard["wait-1"]] == [[b"t"]]


async def test_the_first_goes_on_at_once_and_those_behind_it_together(tmp_path: Path) -> None:
    """A worker that is busy for a moment must not find its socket full: it would have to look everywhere."""
    folder = relay_folder(str(tmp_path), 7)
    ears = Ears(folder, "worker-1")
    relaying = Relay(folder)
    for slot in range(40):
        relaying.pass_on(_work(slot))
    heard = ears.heard["worker-1"]
    await ears.until(lambda: sum(len(wake.woken or ()) for wake in heard) == 40)
    relaying.close()
    ears.sockets.close()

    assert heard[0].woken == [Woken(1, 0, 0)]
    assert len(heard) == 2


ANOTHER_QUEUE = 99


class Hall:
    """A node's folder with workers whose loops do not turn: what has been sent to them lies in their sockets.

    Each has a fifth of the slots of another queue: there are about five workers.
    """

    def __init__(self, tmp_path: Path, own: Mapping[str, Own | None]) -> None:
        self.folder = relay_folder(str(tmp_path), 7)
        os.makedirs(self.folder)
        self._ears: dict[str, socket.socket] = {}
        for name, slots in own.items():
            ear = self._ears[name] = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            ear.setblocking(False)
            ear.bind(f"{self.folder}/{name}")
            if slots is not None:
                write_own(self.folder, name, {ANOTHER_QUEUE: range(200), **slots})
        self.relay = Relay(self.folder)

    def read(self, name: str) -> list[Wake]:
        """Return what lies there now."""
        found = []
        with contextlib.suppress(BlockingIOError):
            while True:
                found.append(msgspec.msgpack.decode(self._ears[name].recv(1 << 16), type=Wake))
        return found

    def told(self) -> dict[str, list[int]]:
        """Return the slots that each has been told of since the last look, in order."""
        return {
            name: slots
            for name in self._ears
            if (slots := [news.slot for wake in self.read(name) for news in wake.woken or ()])
        }

    async def later(self) -> dict[str, list[int]]:
        """Return the same when something has come that was not sent at once."""
        async with asyncio.timeout(10):
            while not (told := self.told()):
                await asyncio.sleep(0.001)
        return told

    def files(self) -> list[str]:
        """Return what lies in the folder besides the relay's own socket."""
        return sorted(name for name in os.listdir(self.folder) if not name.startswith("relay-"))

    def leave(self, name: str) -> None:
        """Let one die."""
        self._ears.pop(name).close()

    def close(self) -> None:
        """End it all."""
        for name in list(self._ears):
            self.leave(name)
        self.relay.close()


@pytest.fixture
def hall_of(tmp_path: Path) -> Iterator[Callable[[Mapping[str, Own | None]], Hall]]:
    """Return what makes a hall, once, of workers and the slots of each queue that they say are theirs."""
    with contextlib.ExitStack() as stack:
        yield lambda own: stack.enter_context(contextlib.closing(Hall(tmp_path, own)))


MakeHall = Callable[[Mapping[str, Own | None]], Hall]


async def test_the_owner_is_told_at_once_and_the_others_later(hall_of: MakeHall) -> None:
    """Of a hundred workers one is meant; the rest would take the processor from the one that is to start the job."""
    hall = hall_of({"worker-1": {1: [1, 11]}, "worker-2": {1: [2]}, "worker-3": {1: [3]}})

    hall.relay.pass_on(_work(2))
    at_once, later = hall.told(), await hall.later()

    assert at_once == {"worker-2": [2]}
    assert later == {"worker-1": [2], "worker-3": [2]}


async def test_a_slot_of_another_node_is_told_to_all_later(hall_of: MakeHall) -> None:
    """Its owner may be busy, or stuck: then somebody here can help."""
    hall = hall_of({"worker-1": {1: [1]}, "worker-2": {1: [2]}})

    hall.relay.pass_on(_work(9))
    at_once, later = hall.told(), await hall.later()

    assert at_once == {}
    assert later == {"worker-1": [9], "worker-2": [9]}


async def test_each_owner_gets_its_own_of_what_comes_in_one(hall_of: MakeHall) -> None:
    """A batch of jobs is one wake-up that names many slots."""
    hall = hall_of({"worker-1": {1: [1, 4]}, "worker-2": {1: [2], 5: [4]}})

    hall.relay.pass_on(Wake(woken=[Woken(1, slot, slot) for slot in range(5)] + [Woken(5, 4, 4)]))
    at_once, later = hall.told(), await hall.later()

    assert at_once == {"worker-1": [1, 4], "worker-2": [2, 4]}
    assert later == {"worker-1": [0, 2, 3, 4], "worker-2": [0, 1, 3, 4]}


async def test_one_worker_s_news_does_not_hold_up_another_s(hall_of: MakeHall) -> None:
    """What gathers, gathers for the one that was told a moment ago."""
    hall = hall_of({"worker-1": {1: [1]}, "worker-2": {1: [2]}})

    hall.relay.pass_on(_work(1))
    hall.relay.pass_on(_work(2))
    hall.relay.pass_on(_work(2))

    assert hall.told() == {"worker-1": [1], "worker-2": [2]}


async def test_news_of_a_slot_that_gathers_keeps_the_lowest_place(hall_of: MakeHall) -> None:
    """A cursor must come back to the lowest that anybody named; and what needs to be staged must be said."""
    hall = hall_of({"worker-1": {1: [1]}, "worker-2": {1: [2]}})

    for place, is_staged in ((7, True), (3, False), (5, True)):
        hall.relay.pass_on(Wake(woken=[Woken(1, 1, place)], is_staged=is_staged))
    found: list[Wake] = []
    async with asyncio.timeout(10):
        while not (found := hall.read("worker-2")):
            await asyncio.sleep(0.001)

    assert [(wake.woken, wake.is_staged) for wake in found] == [([Woken(1, 1, 3)], False)]


async def test_a_worker_that_has_not_said_what_is_its_own_is_told_everything(hall_of: MakeHall) -> None:
    """It has just begun, or could not write it down: nothing may reach it later than it would without all this."""
    hall = hall_of({"worker-1": None, "worker-2": {1: [2]}})

    hall.relay.pass_on(_work(9))
    at_once, later = hall.told(), await hall.later()

    assert at_once == {"worker-1": [9]}
    assert later == {"worker-2": [9]}


async def test_a_slot_that_has_just_got_another_owner_is_told_to_that_one(hall_of: MakeHall) -> None:
    """It looks into its new slots after it has said that they are its own; what comes after that look must be told."""
    hall = hall_of({"worker-1": {1: [1]}, "worker-2": {1: [2]}})
    hall.relay.pass_on(_work(1))
    hall.told()

    write_own(hall.folder, "worker-2", {1: [2, 1]})
    write_own(hall.folder, "worker-1", {1: []})
    hall.relay.pass_on(_work(1))

    assert hall.told() == {"worker-2": [1]}


async def test_an_owner_that_has_died_hides_nothing_from_the_others(hall_of: MakeHall) -> None:
    """Its jobs are released in a moment; what came for it meanwhile may be taken by anybody."""
    hall = hall_of({"worker-1": {1: [1]}, "worker-2": {1: [2]}})
    hall.leave("worker-1")

    hall.relay.pass_on(_work(1))

    assert hall.told() == {}
    assert await hall.later() == {"worker-2": [1]}
    hall.relay.pass_on(_work(1))
    assert hall.files() == ["own-worker-2", "worker-2"]


@pytest.mark.parametrize("wake", [Wake(woken=None), Wake(cancels=[b"t"]), Wake(is_epoch=True)])
async def test_what_concerns_everybody_is_told_everybody_at_once(hall_of: MakeHall, wake: Wake) -> None:
    """A cancel names no slot, and a change of the ring is what makes owners."""
    hall = hall_of({"worker-1": {1: [1]}, "worker-2": {1: [2]}})

    hall.relay.pass_on(wake)

    for name in ("worker-1", "worker-2"):
        (heard,) = hall.read(name)
        assert (heard.woken is None, list(heard.cancels), heard.is_epoch) == (
            wake.woken is None,
            list(wake.cancels),
            wake.is_epoch,
        )


async def test_in_a_large_cluster_the_others_are_not_told(hall_of: MakeHall) -> None:
    """A hundred idle workers look elsewhere often enough by themselves; to be told costs them a wake-up each."""
    hall = hall_of({"worker-1": {}, "worker-2": {}})
    write_own(hall.folder, "worker-1", {1: range(10)})
    write_own(hall.folder, "worker-2", {1: range(10, 20)})

    hall.relay.pass_on(_work(900))
    hall.relay.pass_on(_work(10))
    write_own(hall.folder, "worker-1", {1: range(512)})
    hall.relay.pass_on(_work(511))

    assert hall.told() == {"worker-1": [511], "worker-2": [10]}
    assert await hall.later() == {"worker-2": [511]}


async def test_a_queue_that_nobody_here_serves_is_told_nobody(hall_of: MakeHall) -> None:
    """Nodes that serve other queues would be woken for nothing, all day."""
    hall = hall_of({"worker-1": {1: [1]}, "worker-2": {1: [2]}})

    hall.relay.pass_on(Wake(woken=[Woken(8, 1, 0)]))
    hall.relay.pass_on(_work(1))

    assert hall.told() == {"worker-1": [1]}
    assert await hall.later() == {"worker-2": [1]}


async def test_who_begins_to_wait_is_seen_before_anything_is_passed_on(tmp_path: Path) -> None:
    """Nothing that was settled is told to a relay that does not ask for it."""
    folder, changes = relay_folder(str(tmp_path), 7), asyncio.Event()
    relaying = Relay(folder, changes.set)
    before = relaying.has_waiters
    changes.clear()
    ears = Ears(folder, "wait-1")

    tell_relay(ears.sockets)

    await asyncio.wait_for(changes.wait(), 10)
    assert (before, relaying.has_waiters) == (False, True)
    relaying.close()
    ears.sockets.close()


async def test_who_begins_to_wait_is_seen_with_the_next_wake_up_when_its_word_was_lost(tmp_path: Path) -> None:
    """A wake-up is all that is left to make the relay look."""
    folder, changes = relay_folder(str(tmp_path), 7), asyncio.Event()
    relaying = Relay(folder, changes.set)
    changes.clear()
    ears = Ears(folder, "wait-1")

    relaying.pass_on(_work(1))

    assert changes.is_set()
    assert relaying.has_waiters
    relaying.close()
    ears.sockets.close()


async def test_a_folder_beside_one_s_own_keeps_what_its_living_have_written(tmp_path: Path, hall_of: MakeHall) -> None:
    """Another node of the host begins: its tidying must not make this one's workers be woken for everything."""
    hall = hall_of({"worker-1": {1: [1]}})

    Relay(relay_folder(str(tmp_path), 8)).close()

    assert hall.files() == ["own-worker-1", "worker-1"]


async def test_a_folder_that_a_dead_node_left_behind_is_removed(tmp_path: Path) -> None:
    """Each node's incarnation has one; those of the living stay."""
    dead, living, own = (relay_folder(str(tmp_path), node) for node in (1, 2, 3))
    there = Ears(living, "worker-2")
    os.mkdir(dead)
    relaying = Relay(own)
    relaying.close()

    assert os.listdir(tmp_path) == [os.path.basename(living)]
    there.sockets.close()


async def test_a_socket_without_a_process_does_not_keep_its_folder(tmp_path: Path) -> None:
    """Its process was killed: it could not take its socket away."""
    dead = relay_folder(str(tmp_path), 1)
    os.mkdir(dead)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.bind(f"{dead}/worker-1")
    write_own(dead, "worker-1", {1: [1]})

    Relay(relay_folder(str(tmp_path), 2)).close()

    assert os.listdir(tmp_path) == []


async def test_a_store_whose_processes_tell_each_other_needs_none(tmp_path: Path) -> None:
    """On SQLite whoever commits tells everybody."""
    relay(object(), str(tmp_path), 7)()

    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("depth", [1, 12])
async def test_a_folder_may_lie_deep(tmp_path: Path, depth: int) -> None:
    """The kernel's addresses are short."""
    folder = relay_folder(str(tmp_path.joinpath(*["a rather long name"] * depth)), 7)
    ears = Ears(folder, "worker-1")
    relaying = Relay(folder)
    relaying.pass_on(_work(1))
    await ears.until(lambda: bool(ears.heard["worker-1"]))
    relaying.close()
    ears.sockets.close()


async def test_a_node_is_told_of_the_slots_of_its_workers_or_of_all_where_they_help(hall_of: MakeHall) -> None:
    """In a large cluster one node is meant; but a queue that few serve is helped with by each of them."""
    hall = hall_of({"worker-1": None, "worker-2": None})
    nobody_knows = set(hall.relay.slots)
    write_own(hall.folder, "worker-1", {1: range(10)})
    write_own(hall.folder, "worker-2", {1: range(20, 30), 5: [7, 900]})
    large = set(hall.relay.slots)
    write_own(hall.folder, "worker-2", {1: range(20, 30), 5: range(100)})
    few_serve_one = set(hall.relay.slots)

    assert nobody_knows == set()
    assert large == {*range(10), *range(20, 30), 900}
    assert few_serve_one == set(range(1_024))
