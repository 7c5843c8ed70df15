"""What is known of a process after its death."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from rota.model.outcome import Failure, Kind, Outcome
from rota.worker.running import Counts, RunningTable, counts_in

ONE, TWO = b"1" * 16, b"2" * 16


@pytest.fixture
def table(tmp_path: Path) -> RunningTable:
    return RunningTable.create(str(tmp_path / "w.table"), concurrency=2)


def test_what_was_marked_when_the_process_was_killed_is_read_back(table: RunningTable) -> None:
    """Whom a crash may be blamed on must be known however the process ended."""
    code = (
        "import os, sys; from rota.worker.running import Counts, RunningTable, counts_in; t = RunningTable.open(sys.argv[1]);"
        "t.mark(0, b'1' * 16); t.mark(3, b'2' * 16); t.mark(1, b'3' * 16); t.clear(1); t.began();"
        "os.kill(os.getpid(), 9)"
    )

    ended = subprocess.run([sys.executable, "-c", code, table.path], check=False)

    assert ended.returncode == -signal.SIGKILL
    assert table.running() == [ONE, TWO]
    assert table.write_since_ns > 0


def test_a_fork_does_not_write(table: RunningTable) -> None:
    """A child that a handler forks shares the pages, but must not speak for its parent."""
    table.mark(0, ONE)

    pid = os.fork()
    if pid == 0:
        table.clear(0)
        table.mark(1, TWO)
        table.began()
        os._exit(0)
    os.waitpid(pid, 0)

    assert table.running() == [ONE]
    assert table.write_since_ns == 0


def test_a_write_is_shown_from_its_grant_to_its_end(table: RunningTable) -> None:
    """The supervisor kills a worker that stands still in a write, and only then."""
    table.began()
    assert RunningTable.open(table.path).write_since_ns > 0

    table.ended()

    assert RunningTable.open(table.path).write_since_ns == 0


def test_a_will_is_read_back_whole(table: RunningTable) -> None:
    """Outcomes of handlers that never came back are settled once their process is gone."""
    will = [Outcome(7, ONE, 3, Kind.RETRY, failure=Failure("JobTimeoutError", "too long"), due_at=5)]

    table.leave_will(will)

    assert RunningTable.open(table.path).will() == will


def test_a_process_without_a_will_left_nothing(table: RunningTable) -> None:
    """Most have none."""
    assert table.will() == []


def test_removing_leaves_no_file(table: RunningTable, tmp_path: Path) -> None:
    """A thousand restarts must not leave a thousand files."""
    table.leave_will([])

    table.remove()

    assert list(tmp_path.iterdir()) == []


def test_a_table_is_never_made_over_another(table: RunningTable) -> None:
    """Two processes that share one would be blamed for each other's jobs."""
    with pytest.raises(FileExistsError):
        RunningTable.create(table.path, 1)


def test_another_file_is_refused(tmp_path: Path) -> None:
    """Reading tokens out of something else would blame jobs at random."""
    path = tmp_path / "x"
    path.write_bytes(b"x" * 100)

    with pytest.raises(ValueError, match="not a running table"):
        RunningTable.open(str(path))


def test_what_a_living_process_counted_is_read_by_others(table: RunningTable, tmp_path: Path) -> None:
    """`rota workers` shows it; reading must not touch a file that belongs to a worker."""
    table.mark(0, ONE)
    table.show(Counts(own=7, stolen=2, idle_us=1_500_000))
    os.chmod(table.path, 0o400)

    assert counts_in(table.path) == Counts(own=7, stolen=2, idle_us=1_500_000)
    assert table.running() == [ONE]
    assert counts_in(str(tmp_path / "none.table")) is None
    (tmp_path / "other.table").write_bytes(b"something else")
    assert counts_in(str(tmp_path / "other.table")) is None
