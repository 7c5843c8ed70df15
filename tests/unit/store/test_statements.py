from __future__ import annotations

import pytest

from rota.store.statements import load, without_comments


def test_comments_go_and_strings_that_look_like_comments_stay() -> None:
    """The header of a file is for people; a server must not parse it at every call."""
    header = "-- name: the key's head\n--\n-- Takes nothing\n"
    sql = header + "SELECT '-- kept', 'it''s /* kept */' -- gone\n  /* gone\n too */ FROM t\n\n\nWHERE x\n"

    assert without_comments(sql) == "SELECT '-- kept', 'it''s /* kept */'\n    FROM t\nWHERE x"


def test_an_engine_without_statements_is_an_error() -> None:
    """A misspelt engine must not look like one that has nothing to say."""
    with pytest.raises(FileNotFoundError):
        load("mysql")
