"""The relay: what is heard by one is told to all of its node, at once or with what comes in the same moment."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rota.store.port import Wake, Woken
from rota.store.relay import Relay, relay, relay_folder
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
