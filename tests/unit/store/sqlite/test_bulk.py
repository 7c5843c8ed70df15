"""One statement for many rows."""

from __future__ import annotations

import apsw
import pytest

from rota.store.sqlite.bulk import repeated, run_rows

SQL = "INSERT INTO t (a, b, c) SELECT ?1, v.column1, v.column2 FROM (VALUES (?, ?)) v"


def test_the_row_is_repeated_and_nothing_else() -> None:
    """The text stays the one that was reviewed."""
    assert repeated(SQL, 3) == SQL.replace("(?, ?)", "(?,?),(?,?),(?,?)")


def test_a_statement_without_a_row_is_a_mistake() -> None:
    """It would run once for a thousand jobs."""
    with pytest.raises(ValueError, match="no row"):
        repeated("DELETE FROM t WHERE a = ?", 3)


@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 49, 50, 199, 200, 201, 461])
def test_all_rows_are_written_in_order(count: int) -> None:
    """Whatever number comes, it is cut into the few sizes that stay prepared."""
    db = apsw.Connection(":memory:")
    db.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, a, b, c)")

    changed = run_rows(db, SQL, [(number, f"n{number}") for number in range(count)], ("a",))

    assert changed == count
    rows = db.execute("SELECT a, b, c FROM t ORDER BY id").fetchall()
    assert rows == [("a", number, f"n{number}") for number in range(count)]
    db.close()
