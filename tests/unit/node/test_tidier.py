"""The tidier removes what belongs to nobody, and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from rota.errors import StoreBusyError
from rota.node.liveness import FileLocks
from rota.node.remains import table_path
from rota.node.tidier import Tidier
from rota.testing.clock import ManualClock
from rota.worker.running import RunningTable
from tests.unit.node.scripted import ScriptedStore, node, worker

DIE = "import sys; from rota.node.liveness import FileLocks; from rota.runtime.clock import SystemClock\n"
DIE += "for proof in sys.argv[2:]: FileLocks(sys.argv[1], SystemClock()).hold(proof)"


def leave(folder: Path, *proofs: str) -> None:
    """Leave files as processes do that held these proofs and have ended."""
    subprocess.run([sys.executable, "-c", DIE, str(folder), *proofs], check=True)
    for proof in proofs:
        RunningTable.create(table_path(str(folder), proof), 1)


async def test_only_the_dead_and_unknown_are_removed(tmp_path: Path, clock: ManualClock) -> None:
    """What a rescue still needs stays, and so does all that lives or is only beginning."""
    leave(tmp_path, "nobody", "worker-7", "worker-8", "node-1")
    locks = FileLocks(str(tmp_path), clock)
    locks.hold("alive")
    RunningTable.create(table_path(str(tmp_path), "beginning"), 1)
    store = ScriptedStore()
    store.nodes, store.workers, store.left = [node(1)], [worker(7, 1)], [worker(8, 1)]
    scripted: Any = store

    await Tidier(scripted, locks).do()

    left = {name.partition(".")[0] for name in os.listdir(tmp_path)}
    assert left == {"worker-7", "worker-8", "node-1", "alive", "beginning"}


async def test_when_nobody_says_who_is_known_nothing_is_removed(tmp_path: Path, clock: ManualClock) -> None:
    """It can wait for an hour."""
    leave(tmp_path, "nobody")
    store = ScriptedStore()
    store.failing = {"membership": 1}
    scripted: Any = store

    with pytest.raises(StoreBusyError):
        await Tidier(scripted, FileLocks(str(tmp_path), clock)).do()

    assert sorted(os.listdir(tmp_path)) == ["nobody.lock", "nobody.table"]
