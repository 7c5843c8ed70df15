"""Reading a store without the right to write it, and without writing anything."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path

import apsw
import pytest

from rota.app.blocking import drive
from rota.errors import RotaError, SchemaVersionError, StoreReadOnlyError, StoreUnavailableError
from rota.model.job import NewJob
from rota.model.slot import hash16
from rota.runtime.clock import SystemClock
from rota.runtime.entropy import SystemEntropy
from rota.store.port import JobFilter, Wake
from rota.store.sqlite.store import SqliteStore
from tests.unit.store.sqlite.strangers import only_reading, public_folder

CLOCK = SystemClock()
ENTROPY = SystemEntropy(CLOCK)


def opened(path: Path, *, reads_only: bool = False) -> SqliteStore:
    return SqliteStore.open(str(path), clock=CLOCK, entropy=ENTROPY, reads_only=reads_only).inline()


def submit(store: SqliteStore) -> bytes:
    token = ENTROPY.token()
    drive(store.submit([NewJob(token, "ovens", "bake", b"{}", hash16(None, token), is_fresh=True)]))
    return token


def seen(store: SqliteStore) -> int:
    return len(drive(store.jobs(JobFilter())))


@pytest.fixture
def folder() -> Iterator[Path]:
    with public_folder() as made:
        yield made


@pytest.fixture
def at_rest(folder: Path) -> Path:
    """A store with one job that nobody has open."""
    store = opened(folder / "shop.db")
    submit(store)
    drive(store.close())
    assert not (folder / "shop.db-wal").exists()
    return folder / "shop.db"


def lying(path: Path) -> dict[str, tuple[int, int]]:
    """Return what lies beside a store, with size and time of change."""
    return {each.name: (each.stat().st_size, each.stat().st_mtime_ns) for each in path.parent.iterdir()}


def test_reading_a_store_at_rest_makes_no_file_and_changes_none(at_rest: Path) -> None:
    """Files that were made by another user would lock the owner out."""
    before = lying(at_rest)

    for be in (only_reading, nullcontext):
        with be(at_rest.parent):
            store = opened(at_rest, reads_only=True)
            assert seen(store) == 1
            assert {check.name: check.level for check in drive(store.doctor())}["durability"] == "ok"
            drive(store.close())

    assert lying(at_rest) == before


def test_a_store_in_use_is_read_as_it_is_now(at_rest: Path) -> None:
    """What was committed a moment ago is in the log and not in the file."""
    writer = opened(at_rest)
    submit(writer)

    with only_reading(at_rest.parent):
        reader = opened(at_rest, reads_only=True)
        assert seen(reader) == 2
    submit(writer)
    with only_reading(at_rest.parent):
        assert seen(reader) == 3
        drive(reader.close())
    drive(writer.close())


def test_a_store_that_is_taken_into_use_is_not_read_as_it_lay(at_rest: Path) -> None:
    """`rota wait` looks again and again; a node may start between two looks."""
    with only_reading(at_rest.parent):
        reader = opened(at_rest, reads_only=True)
        assert seen(reader) == 1
    writer = opened(at_rest)
    submit(writer)
    with only_reading(at_rest.parent):
        assert seen(reader) == 2
    drive(writer.close())
    with only_reading(at_rest.parent):
        assert seen(reader) == 2
        drive(reader.close())


def test_a_file_that_changes_under_a_read_is_read_again(at_rest: Path) -> None:
    """Nothing is locked where nothing can be written: a mixture of two moments must not get out."""
    reader = opened(at_rest, reads_only=True)
    looks: list[int] = []

    def look(db: apsw.Connection) -> int:
        found: int = db.execute("SELECT count(*) FROM live").get
        looks.append(found)
        if len(looks) == 1:
            writer = opened(at_rest)
            submit(writer)
            drive(writer.close())
        return found

    assert reader._desk.reader.call_inline(look) == 2
    assert looks == [1, 2]
    drive(reader.close())


def test_what_a_dead_process_left_in_the_log_is_read(at_rest: Path) -> None:
    """After a crash of all of a store's processes the log and its index are there, and nobody else is."""
    crash(at_rest)

    with only_reading(at_rest.parent):
        reader = opened(at_rest, reads_only=True)
        assert seen(reader) == 2
        drive(reader.close())


def test_a_log_without_its_index_is_refused_where_that_cannot_be_made(at_rest: Path) -> None:
    """The jobs in the log would be missing from what is shown. Whoever may write there can read it."""
    crash(at_rest)
    Path(f"{at_rest}-shm").unlink()

    with (
        only_reading(at_rest.parent),
        pytest.raises(StoreReadOnlyError, match=r"jobs are in its log.*Nothing was read"),
    ):
        opened(at_rest, reads_only=True)
    reader = opened(at_rest, reads_only=True)
    assert seen(reader) == 2
    drive(reader.close())


def crash(path: Path) -> None:
    """Have a process commit a job and die at once."""
    pid = os.fork()
    if pid == 0:
        submit(opened(path))
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    assert Path(f"{path}-wal").stat().st_size > 0


@pytest.mark.parametrize(
    "change",
    [
        lambda store: drive(store.cancel(b"1" * 16)),
        lambda store: drive(store.set_paused("ovens", True)),
        lambda store: asyncio.run(SqliteStore(store._desk).cancel(b"1" * 16)),
        submit,
    ],
    ids=["cancel", "pause", "cancel in the writer's thread", "submit"],
)
def test_a_handle_for_reading_refuses_to_write(at_rest: Path, change: Callable[[SqliteStore], object]) -> None:
    """Whatever the file would allow."""
    reader = opened(at_rest, reads_only=True)

    with pytest.raises(StoreReadOnlyError, match="Nothing was written"):
        change(reader)

    drive(reader.close())
    drive(reader.close())


def test_opening_for_writing_is_refused_before_anything_is_touched(at_rest: Path) -> None:
    """With the reason, what still works, and who can."""
    before = lying(at_rest)

    with (
        only_reading(at_rest.parent),
        pytest.raises(StoreReadOnlyError, match=r"may only be read.*Nothing was written.*owner"),
    ):
        opened(at_rest)

    assert lying(at_rest) == before


def test_an_older_schema_is_not_changed_by_a_look(at_rest: Path) -> None:
    """Nodes of the older version may be running on it."""
    with apsw.Connection(str(at_rest)) as db:
        db.pragma("user_version", 0)
    before = lying(at_rest)

    with pytest.raises(SchemaVersionError, match="rota migrate"):
        opened(at_rest, reads_only=True)

    assert lying(at_rest) == before


def test_what_may_not_even_be_read_says_so(at_rest: Path) -> None:
    """With whose rights are missing."""
    at_rest.chmod(0o200)
    if os.geteuid() == 0:
        with only_reading(at_rest.parent), pytest.raises(StoreUnavailableError, match="must be readable for"):
            opened(at_rest, reads_only=True)
    else:
        with pytest.raises(StoreUnavailableError, match="must be readable for"):
            opened(at_rest, reads_only=True)


def test_a_store_that_is_gone_says_so(at_rest: Path) -> None:
    """It was there a moment ago."""
    reader = opened(at_rest, reads_only=True)
    shutil.move(at_rest, f"{at_rest}.away")

    with pytest.raises(RotaError, match="is gone"):
        seen(reader)

    drive(reader.close())


async def test_who_may_not_listen_looks_now_and_then(at_rest: Path) -> None:
    """The folder of the listeners is its owner's alone: a stranger's wait must not fail over that."""
    heard: list[Wake] = []
    with only_reading(at_rest.parent):
        reader = opened(at_rest, reads_only=True)
        stop = reader.listen("wait-1", heard.append)
        stop()
        await reader.close()

    reader = opened(at_rest, reads_only=True)
    stop = reader.listen("wait-1", heard.append)
    assert (Path(f"{at_rest}.d") / "wake" / "wait-1").exists()
    stop()
    await reader.close()
