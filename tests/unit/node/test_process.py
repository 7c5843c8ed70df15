"""A worker process from start to reap, with a stand-in for the worker."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from rota.model.outcome import Kind, Outcome
from rota.node.order import WorkerStart
from rota.node.process import Ending, WorkerProcess
from rota.node.remains import Remains, read_remains
from rota.worker.order import WorkerOrder
from tests.processes import is_running
from tests.unit.node.waiting import PATIENCE_S, until

MODULE = "tests.unit.node.standin"


@asynccontextmanager
async def standin(folder: Path, behaviour: str, *, keeps_log: bool = False) -> AsyncIterator[WorkerProcess]:
    """Start a stand-in; it is dead when the block is left."""
    order = WorkerOrder(node_id=1, name="mitte/1", proof="it", table=str(folder / "it.table"), concurrency=2)
    start = WorkerStart(order=order, app=behaviour, store="", folder=str(folder))
    process = WorkerProcess.start(start, MODULE, keeps_log=keeps_log)
    try:
        yield process
    finally:
        process.kill("the test is over")


async def test_a_killed_process_is_told_by_its_signal(tmp_path: Path) -> None:
    """The history of a suspect says what killed it."""
    async with standin(tmp_path, f"wait {tmp_path}/pid") as process:
        until((tmp_path / "pid").exists, "the stand-in to run")
        os.kill(process.pid, signal.SIGKILL)
        ending = await process.ended()

    assert (ending.code, ending.signal, ending.killed_why) == (None, 9, None)
    assert ending.memory_bytes > 2**20
    assert "signal 9 (SIGKILL)" in ending.words


async def test_an_exit_is_told_by_its_code(tmp_path: Path) -> None:
    """Whatever code: only the supervisor knows whether it had asked."""
    async with standin(tmp_path, "exit") as process:
        ending = await process.ended()

    assert (ending.code, ending.signal, ending.is_asked) == (5, None, False)


async def test_what_it_was_running_and_its_last_lines_are_kept(tmp_path: Path) -> None:
    """A condemned job's record shows the lines before the end."""
    async with standin(tmp_path, "segfault", keeps_log=True) as process:
        ending = await process.ended()

    assert ending.signal == signal.SIGSEGV
    assert "about to read where nothing is" in ending.last_lines
    assert process.table.running() == [b"sixteen bytes ok"]


async def test_whoever_finds_a_forgiven_process_knows_that_it_ended_on_purpose(tmp_path: Path) -> None:
    """Its supervisor may die before it has given back what it held: its jobs had run, and nobody is to blame."""
    async with standin(tmp_path, "segfault") as process:
        await process.ended()
        process.wipe_table()

    assert read_remains(str(tmp_path), "it") == Remains(frozenset(), [])


async def test_the_will_of_a_process_outlives_its_forgiveness(tmp_path: Path) -> None:
    """What it left to be settled is settled by whoever comes."""
    async with standin(tmp_path, "segfault") as process:
        await process.ended()
        will = [Outcome(1, b"sixteen bytes ok", 1, Kind.FAILED)]
        process.table.leave_will(will)
        process.wipe_table()

    assert read_remains(str(tmp_path), "it") == Remains(frozenset(), will)


async def test_of_lines_without_end_the_end_is_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A suspect may print for days before it dies: neither the disk nor its supervisor's memory may fill up with that."""
    async with standin(tmp_path, "babble", keeps_log=True) as process:
        ending = await process.ended()

    assert 1_000_000 < len(capsys.readouterr().err) <= 1_048_576
    assert len(ending.last_lines) == 4_096
    assert ending.last_lines.endswith("my last words\n")
    assert sorted(os.listdir(tmp_path)) == ["it.lock", "it.table"], "what it printed went to the disk"


async def test_who_goes_on_writing_elsewhere_is_not_waited_for(tmp_path: Path) -> None:
    """A handler's daemon keeps the worker's standard error open: the end of the worker must be told all the same."""
    async with standin(tmp_path, "babble-on", keeps_log=True) as process:
        try:
            async with asyncio.timeout(PATIENCE_S):
                ending = await process.ended()
        finally:
            os.kill(int((tmp_path / "it.table.child").read_text()), signal.SIGKILL)

    assert ending.code == 7


async def test_a_kill_by_the_supervisor_says_why(tmp_path: Path) -> None:
    """Who reads the history should not look for a culprit that does not exist."""
    async with standin(tmp_path, "wait") as process:
        assert process.kill("it stood still")
        assert not process.kill("its node ends"), "it was killed before"
        ending = await process.ended()

    assert not process.kill("its node ends"), "it has ended"
    assert ending.killed_why == "it stood still"
    assert "sent by its supervisor: it stood still" in ending.words


async def test_a_process_that_was_asked_to_end_is_known_as_such(tmp_path: Path) -> None:
    """Exit 0 forgives only if it was asked for."""
    async with standin(tmp_path, "term") as process:
        until(process.table.running, "the stand-in to wait for its signal")
        process.tell(signal.SIGTERM)
        ending = await process.ended()

    assert (ending.code, ending.is_asked) == (0, True)


async def test_its_own_children_are_killed_with_it(tmp_path: Path) -> None:
    """A handler's subprocess must not go on while the job runs again elsewhere."""
    async with standin(tmp_path, "leave") as process:
        ending = await process.ended()

    child = int((tmp_path / "it.table.child").read_text())
    assert ending.code == 7
    until(lambda: not is_running(child), "what was killed to be gone")


async def test_an_end_while_nobody_looked_is_seen_afterwards(tmp_path: Path) -> None:
    """A supervisor may be stopped while its worker dies."""
    async with standin(tmp_path, "wait") as process:
        process.kill("early")
        until(lambda: not is_running(process.pid), "the process to be dead")
        ending = await asyncio.wait_for(process.ended(), PATIENCE_S)

    assert ending.signal == 9


async def test_signals_before_the_reap_do_not_reap(tmp_path: Path) -> None:
    """Its end is learnt in one place. Learnt elsewhere, it is lost, and all wait for the reap of a process that is gone."""
    async with standin(tmp_path, f"wait {tmp_path}/pid") as process:
        until((tmp_path / "pid").exists, "the stand-in to run")
        os.kill(process.pid, signal.SIGKILL)
        until(lambda: not is_running(process.pid), "the process to be dead")

        process.tell(signal.SIGTERM)
        process.kill("its lease has run out")

        ending = await asyncio.wait_for(process.ended(), PATIENCE_S)
    assert ending.signal == 9


async def test_signals_after_the_reap_reach_nobody(tmp_path: Path) -> None:
    """The id may belong to a stranger by then."""
    async with standin(tmp_path, "exit") as process:
        await process.ended()
        process.tell(signal.SIGTERM)
        process.kill("too late")


async def test_a_system_without_pidfd_polls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Development elsewhere: slower to notice, the same in all else."""
    monkeypatch.delattr(os, "pidfd_open")
    async with standin(tmp_path, "exit") as process:
        ending = await process.ended()

    assert ending.code == 5


def test_an_unknown_signal_has_words_too() -> None:
    """Real-time signals have no name."""
    assert "signal 63 (unknown)" in Ending(None, 63, 0, 0.0).words
