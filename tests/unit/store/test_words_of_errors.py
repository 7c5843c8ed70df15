"""What a newcomer reads when the store is not what it was taken for."""

from __future__ import annotations

import socket

import apsw
import pytest

from rota.store.postgres.errors import unavailable
from rota.store.sqlite.faults import translate


@pytest.mark.parametrize(
    ("problem", "says"),
    [
        (ConnectionRefusedError(111, "Connect call failed ('127.0.0.1', 1)"), "cannot be reached: connection refused."),
        (socket.gaierror(-2, "Name or service not known"), "cannot be reached: name or service not known."),
        (TimeoutError(), "cannot be reached: TimeoutError."),
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
