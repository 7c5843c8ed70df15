"""A store in a file, with jobs to put into it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rota.model.job import NewJob
from rota.model.slot import hash16
from rota.runtime.entropy import SystemEntropy
from rota.store.sqlite.store import SqliteStore
from rota.testing.clock import ManualClock
from tests.contract.shop import CountingEntropy

Opener = Callable[..., SqliteStore]


@pytest.fixture
def path(tmp_path: Path) -> str:
    """Where the store lies."""
    return str(tmp_path / "shop.db")


@pytest.fixture
def open_store(path: str, clock: ManualClock, runner: asyncio.Runner) -> Iterator[Opener]:
    """Open a handle on the file; all are closed when the test ends."""
    opened: list[SqliteStore] = []

    def open_one(place: str = path, **more: Any) -> SqliteStore:
        opened.append(SqliteStore.open(place, clock=clock, entropy=SystemEntropy(clock), **more))
        return opened[-1]

    yield open_one

    for store in opened:
        runner.run(store.close())


@pytest.fixture
def store(open_store: Opener) -> SqliteStore:
    """A handle on an empty file."""
    return open_store()


@pytest.fixture
def new_job(clock: ManualClock) -> Callable[..., NewJob]:
    """Make jobs that have not been submitted; the same in each run, or two of them would now and then share a slot."""
    entropy = CountingEntropy(clock)

    def make(key: str | None = None, **more: Any) -> NewJob:
        token = entropy.token()
        known = {"queue": "ovens", "task": "bake", "payload": b"{}", "hash16": hash16(key, token), "is_fresh": True}
        return NewJob(token=token, key=key, **{**known, **more})

    return make
