"""A disk that is full, and one that may not be written: nothing is half-written, and work goes on when there is room."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from rota.errors import StoreError, StoreFullError, StoreReadOnlyError, StoreUnavailableError
from rota.model.state import State
from rota.runtime.clock import SystemClock
from rota.runtime.entropy import SystemEntropy
from rota.store.sqlite.store import SqliteStore
from tests.unit.worker.kitchen import Kitchen


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of eight megabytes."""
    if os.geteuid() != 0:
        pytest.skip("SKIPPED, and so unproved here: a full disk needs root, to mount a small tmpfs")
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip(f"SKIPPED, and so unproved here: no tmpfs can be mounted ({mounted.stderr.decode().strip()})")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def open_store(disk: Path) -> SqliteStore:
    clock = SystemClock()
    return SqliteStore.open(str(disk / "shop.db"), clock=clock, entropy=SystemEntropy(clock), busy_timeout_ms=500)


async def bake(size: str) -> int:
    return len(size)


async def fill(disk: Path) -> Path:
    """Take all the room that is left."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError:
            return filler


async def submit_until_refused(kitchen: Kitchen) -> tuple[StoreError | None, int]:
    """Put batches in until one is refused; return the error and how many jobs were taken before."""
    taken = 0
    for _ in range(200):
        try:
            taken += len(await kitchen.submit(bake, 40, size="x" * 2_000))
        except StoreError as error:
            return error, taken
    return None, taken


async def live_count(store: SqliteStore) -> int:
    return sum(queue.waiting + queue.scheduled + queue.running for queue in await store.queues())


async def test_a_submit_to_a_full_disk_fails_whole_and_clearly(small_disk: Path) -> None:
    """The program must know that its jobs were not taken, and none of them may be there."""
    store = open_store(small_disk)
    kitchen = Kitchen.of(bake, store=store)
    accepted = len(await kitchen.submit(bake, 5, size="small"))
    filler = await fill(small_disk)

    refused, taken = await submit_until_refused(kitchen)

    assert isinstance(refused, StoreFullError)
    assert "was written" in str(refused)
    assert await live_count(store) == accepted + taken
    filler.unlink()
    await kitchen.submit(bake, size="again")
    assert await live_count(store) == accepted + taken + 1
    await store.close()


async def test_workers_pause_on_a_full_disk_and_go_on_when_there_is_room(small_disk: Path) -> None:
    """A full disk at night is a delay, not a loss."""
    store = open_store(small_disk)
    kitchen = Kitchen.of(bake, store=store)
    tokens = await kitchen.submit(bake, 100, size="x" * 2_000)
    worker = await kitchen.worker()
    filler = await fill(small_disk)
    working = asyncio.create_task(worker.run())
    while not (kitchen.telemetry.counters["worker.paused"] or kitchen.telemetry.counters["store.lost"]):
        await asyncio.sleep(0.005)
    assert not working.done()

    filler.unlink()
    while not all(state.is_final for state in (await store.states(tokens)).values()):
        await asyncio.sleep(0.01)
    worker.drain()
    await working

    assert set((await store.states(tokens)).values()) == {State.SUCCEEDED}
    await store.close()


async def test_a_store_that_may_not_be_written_says_so(small_disk: Path) -> None:
    """Whether opening or writing is what fails, the program learns that nothing was written, and where to look."""
    store = open_store(small_disk)
    await Kitchen.of(bake, store=store).submit(bake, size="small")
    await store.close()
    await asyncio.to_thread(subprocess.run, ["mount", "-o", "remount,ro", str(small_disk)], check=True)

    with pytest.raises((StoreReadOnlyError, StoreUnavailableError), match="was written") as refused:
        await Kitchen.of(bake, store=open_store(small_disk)).submit(bake, size="more")

    assert "shop.db" in str(refused.value)
