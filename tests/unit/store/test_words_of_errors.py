"""What a newcomer reads when the store is not what it was taken for."""

from __future__ import annotations

import socket
from pathlib import Path

import apsw
import pytest

from rota.store.postgres.errors import unavailable
from rota.store.sqlite.faults import translate


@pytest.mark.parametrize(
    ("problem", "says"),
    [
        (ConnectionRefusedError(111, "Connect call failed ('127.0.0.1', 1)"), "cannot be reached: connection refused."),
        (socket.gaierror(-2, "Name or service not known"), "cannot be reached: name or service not known."),
        (FileNotFoundError(2, "No such file", "root.crt"), "cannot be reached: no such file or directory (root.crt)."),
        (TimeoutError(), "cannot be reached: it does not answer."),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_server_that_is_not_there_is_told_in_words(problem: OSError, says: str) -> None:
    """An error of the operating system begins with a number, which tells nobody anything."""
    assert says in unavailable(problem, where="postgresql://db/shop").message


def test_a_file_that_is_no_database_is_not_called_a_broken_disk() -> None:
    """Most often it is a mistyped path; nobody should look for a new disk."""
    message = translate(apsw.NotADBError("file is not a database"), "letter.txt").message

    assert message.startswith("letter.txt is no SQLite database. Nothing was written. Name another file")


def test_a_folder_is_not_taken_for_a_store(tmp_path: Path) -> None:
    """A path that lacks its last part; the folder exists, and may be written."""
    message = translate(apsw.CantOpenError("unable to open database file"), str(tmp_path)).message

    assert message.endswith(f"It is a folder: name a file in it, such as {tmp_path}/rota.db.")
