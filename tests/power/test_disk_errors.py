"""The disk fails at one call, at every call in turn: the store stops and says so, and what it had acknowledged is there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random

import pytest

from rota.errors import OutcomeUnknownError, StoreBrokenError, StoreError, StoreFullError
from tests.power.attack import DB, workshop
from tests.power.disk import Disk
from tests.power.errand import CALLS, Errand
from tests.power.faulty_vfs import (
    DISK_IS_FULL,
    READ_FAILS,
    READ_IS_SHORT,
    SYNC_FAILS,
    TRUNCATE_FAILS,
    WRITE_FAILS,
    Trouble,
    failing,
)
from tests.power.judge import judge_by_store, judge_file, lay_out
from tests.power.logging_vfs import Log
from tests.power.promises import Promises, Wrong
from tests.power.workload import short_log

IMAGES = 6


@contextmanager
def disk(pages: int = 12) -> Iterator[tuple[str, Trouble, Log]]:
    """A folder whose disk can fail, and a log that is moved when it has so many pages."""
    with workshop() as folder, short_log(pages), failing(folder) as (trouble, log):
        yield f"{folder}/{DB}", trouble, log


def calls_of(kind: str) -> int:
    """Return how many calls of a kind an errand makes when nothing fails, its end included."""
    with disk() as (path, trouble, log):
        errand = Errand(path, log)
        trouble.strike((kind, 0), 0)
        errand.run()
        errand.close()
        assert not errand.errors
        return trouble.calls[kind]


def after_a_restart(path: str, promises: Promises, log: Log) -> list[Wrong]:
    """Judge the file as the next process finds it, by SQLite and by the real store."""
    demands = promises.at(log.now)
    return judge_file(Path(path), demands) + judge_by_store(Path(path), demands)


def after_a_power_cut(promises: Promises, log: Log, since: int | None = None) -> list[Wrong]:
    """Judge what the disk may hold if the power goes off now, or (given ``since``) after any answer since then."""
    acks = {
        step.acked for step in promises.steps if step.acked is not None and since is not None and step.acked > since
    }
    held, at, chance = Disk(), 0, Random(1)
    wrong: list[Wrong] = []
    with workshop() as folder:
        for cut in sorted({*acks, log.now}):
            held.apply(log.entries[at:cut])
            at = cut
            for _ in range(2 if acks else IMAGES):
                lay_out(held.image(chance), Path(folder))
                wrong += judge_file(Path(folder) / DB, promises.at(cut))
    return wrong


@pytest.mark.parametrize(
    "fault", [WRITE_FAILS, SYNC_FAILS, TRUNCATE_FAILS, READ_FAILS], ids=["write", "sync", "truncate", "read"]
)
def test_a_disk_error_stops_the_store_and_loses_nothing(fault: tuple[str, int]) -> None:
    """Not retried past: no further write, no further sync, not at the end either; every call says what to do."""
    for at in range(1, calls_of(fault[0]) + 1):
        with disk() as (path, trouble, log):
            errand = Errand(path, log)
            trouble.strike(fault, at)
            errand.run()
            first = min(errand.errors, default=CALLS)
            errand.close()

            where = f"{fault[0]} {at}, of {trouble.where}"
            assert trouble.has_struck, where
            assert trouble.after["write"] == trouble.after["sync"] == trouble.after["truncate"] == 0, where
            for call, error in errand.errors.items():
                assert isinstance(error, StoreBrokenError | OutcomeUnknownError), where
                assert call == first or isinstance(error, StoreBrokenError), where
                assert "writes no more" in str(error), where
                assert "system's log" in str(error), where
            assert list(errand.errors) == list(range(first, errand.calls + 1)) or not errand.errors, where
            assert after_a_power_cut(errand.promises, log) == [], where
            assert after_a_restart(path, errand.promises, log) == [], where


def test_a_full_disk_refuses_one_call_and_the_next_goes_through() -> None:
    """Somebody makes room; nothing of the call that was refused is there, and everything else is."""
    for at in range(1, calls_of("write") + 1):
        with disk() as (path, trouble, log):
            errand = Errand(path, log)
            trouble.strike(DISK_IS_FULL, at)
            errand.run()
            errand.close()

            where = f"write {at}, of {trouble.where}"
            assert trouble.has_struck, where
            assert len(errand.errors) <= 1, where
            for error in errand.errors.values():
                assert isinstance(error, StoreFullError), where
                assert "Make room" in str(error), where
            assert after_a_power_cut(errand.promises, log) == [], where
            assert after_a_restart(path, errand.promises, log) == [], where


def test_a_short_read_is_never_taken_for_the_truth() -> None:
    """Less than was asked for, where there must be more: an error, or at least no wrong answer and nothing lost."""
    for at in range(1, calls_of("read") + 1):
        with disk() as (path, trouble, log):
            errand = Errand(path, log)
            trouble.strike(READ_IS_SHORT, at)
            errand.run()
            errand.close()

            where = f"read {at}, of {trouble.where}"
            assert trouble.has_struck, where
            assert after_a_power_cut(errand.promises, log) == [], where
            assert after_a_restart(path, errand.promises, log) == [], where


@pytest.mark.parametrize("has_neighbour", [False, True], ids=["all restarted", "one of two restarted"])
def test_what_is_accepted_after_a_failed_sync_and_a_restart_is_on_the_disk(has_neighbour: bool) -> None:
    """The system believes that what it failed to write is there, and reads it back: building on that would lose all of it."""
    for at, pages in [*((at, 12) for at in range(1, calls_of("sync") + 1)), *((at, 400) for at in range(1, 12))]:
        with disk(pages) as (path, trouble, log):
            neighbour = Errand(path, log) if has_neighbour else None
            errand = Errand(path, log)
            jobs = [errand.job() for _ in range(12)]
            trouble.strike(SYNC_FAILS, at)
            for job in jobs:
                errand.submit_these([job])
            errand.close()
            assert trouble.has_struck

            restarted = log.now
            again = Errand(path, log, errand.promises)
            accepted = [again.submit_these([job]) for job in [*jobs, again.job()]]

            where = f"sync {at}, of {trouble.where}, {pages} pages"
            assert all(accepted), where
            assert after_a_power_cut(again.promises, log, since=restarted) == [], where
            again.close()
            if neighbour is not None:
                neighbour.close()
            assert after_a_restart(path, again.promises, log) == [], where


@pytest.mark.parametrize("fault", [WRITE_FAILS, SYNC_FAILS], ids=["write", "sync"])
def test_a_store_that_cannot_be_made_is_made_the_next_time(fault: tuple[str, int]) -> None:
    """An error while the file is made leaves nothing that would have to be removed by hand."""
    at, is_made = 0, False
    while not is_made:
        at += 3 if fault is WRITE_FAILS else 1
        with disk() as (path, trouble, log):
            trouble.strike(fault, at)
            with suppress(StoreError):
                Errand(path, log).close()
            is_made, where = not trouble.has_struck, f"{fault[0]} {at}, of {trouble.where}"
            trouble.strike((fault[0], 0), 0)

            again = Errand(path, log)
            again.run()
            again.close()

            assert not again.errors, where
            assert after_a_power_cut(again.promises, log) == [], where
            assert after_a_restart(path, again.promises, log) == [], where
    assert at > 10
