"""Who has a database's write lock, told by the kernel."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from rota.app.write_lock import holds_write_lock

WRITER = """
import sys, apsw
db = apsw.Connection(sys.argv[1])
db.pragma("journal_mode", "wal")
db.execute("CREATE TABLE IF NOT EXISTS t (x)")
for line in sys.stdin:
    db.execute(line)
    print("done", flush=True)
"""


def test_only_the_writer_has_it_and_only_while_it_writes(tmp_path: Path) -> None:
    """Somebody in a read, and somebody between two writes, hold up nobody."""
    path = str(tmp_path / "shop.db")
    writer = subprocess.Popen([sys.executable, "-c", WRITER, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert writer.stdin is not None
    assert writer.stdout is not None
    seen = []
    with writer, writer.stdin as stdin, writer.stdout as stdout:
        for statement in (
            "SELECT 1",
            "BEGIN IMMEDIATE",
            "INSERT INTO t VALUES (1)",
            "COMMIT",
            "BEGIN",
            "SELECT * FROM t",
        ):
            stdin.write(statement.encode() + b"\n")
            stdin.flush()
            assert stdout.readline() == b"done\n"
            seen.append((holds_write_lock(writer.pid, path), holds_write_lock(os.getpid(), path)))

    assert [own for own, _ in seen] == [False, True, True, False, False, False]
    assert not any(other for _, other in seen)


def test_without_a_database_nothing_can_be_told(tmp_path: Path) -> None:
    """Then the mark alone must do."""
    assert holds_write_lock(os.getpid(), str(tmp_path / "nowhere.db")) is None
