"""Which store a command means, and what it does with one that is not there."""

from __future__ import annotations

import pytest

from tests.integration.cli.shop import NOBODY, Folder


@pytest.mark.parametrize(
    "words",
    [("jobs",), ("status",), ("queues",), ("workers",), ("ring",), ("doctor",), ("health",), ("status", NOBODY),
     ("wait", NOBODY), ("job", NOBODY), ("cancel", NOBODY), ("retry", NOBODY), ("pause", "ovens"), ("backup", "copy.db")],
    ids=" ".join,
)  # fmt: skip
def test_a_store_that_is_not_there_is_not_made(empty: Folder, words: tuple[str, ...]) -> None:
    """A mistyped path must be an error, not an empty list."""
    said = empty.rota(*words, "--store", "elsewhere.db")

    assert said.code == 69
    assert "there is no store at elsewhere.db (--store)" in said.err
    assert said.out == ""
    assert list(empty.path.iterdir()) == []


def test_the_store_is_the_option_then_the_environment_then_the_app_then_the_default(empty: Folder) -> None:
    """The nearest word wins; the message says whose word it was."""
    empty.write_app()
    told = [
        empty.rota("jobs", "--store", "a.db", "--app", "shop:app", ROTA_STORE="b.db").err,
        empty.rota("jobs", "--app", "shop:app", ROTA_STORE="b.db").err,
        empty.rota("jobs", ROTA_APP="shop:app").err,
        empty.rota("jobs").err,
    ]

    assert "a.db (--store)" in told[0]
    assert "b.db (ROTA_STORE)" in told[1]
    assert "shop.db (the store of shop:app)" in told[2]
    assert "rota.db (the default)" in told[3]


def test_the_stores_of_the_folder_are_named_when_the_default_is_not_there(empty: Folder) -> None:
    """The README's app keeps its jobs in shop.db; `rota status` beside it must not be a dead end."""
    assert "Name it with --store or ROTA_STORE, or its app with --app" in empty.rota("status").err
    empty.write_app()
    (empty.path / "letters.db").touch()
    empty.rota("submit", "write", '{"to": "anna"}', "--app", "shop:app")

    said = empty.rota("status")

    assert said.code == 69
    assert "Is it --store shop.db? With --app MODULE:APP, or ROTA_APP, it is the app's own." in said.err


def test_a_submit_that_makes_a_store_says_so(empty: Folder) -> None:
    """Beside the app's own store, a job in the default one would wait for ever."""
    empty.write_app()
    first = empty.rota("submit", "write", '{"to": "anna"}', "--app", "shop:app")
    again = empty.rota("submit", "write", '{"to": "anna"}', "--app", "shop:app")
    astray = empty.rota("submit", "write", '{"to": "anna"}')

    assert "This made a new store" in first.err
    assert "meant?" not in first.err
    assert "made a new store" not in again.err
    assert "rota.db (the default). Was --store shop.db meant?" in astray.err
    assert len(first.lines) == len(astray.lines) == 1


def test_an_empty_file_is_not_made_a_store_by_reading(empty: Folder) -> None:
    """A slip such as `> rota.db` is not yet a store, and `rota status` is not what makes one."""
    (empty.path / "rota.db").touch()

    said = empty.rota("status")

    assert said.code == 69
    assert "rota.db (the default) is an empty file, not yet a store" in said.err
    assert [file.name for file in empty.path.iterdir()] == ["rota.db"]


@pytest.mark.parametrize("command", [["status"], ["submit", "bake", "{}"], ["doctor"]])
def test_what_is_no_file_is_no_store(empty: Folder, command: list[str]) -> None:
    """`--store /dev/null` is a wish for no store, and nothing that a disk could do wrong."""
    said = empty.rota(*command, "--store", "/dev/null")

    assert said.code == 78
    assert "/dev/null (--store) is a device, a pipe or a socket, and a store is a file" in said.err


def test_a_secret_store_may_lie_in_a_file(shop: Folder) -> None:
    """Passwords do not belong into an environment that everybody can read."""
    (shop.path / "secret").write_text("rota.db\n")

    assert shop.rota("status", ROTA_STORE_FILE="secret").code == 0
    assert shop.rota("status", ROTA_STORE_FILE="nowhere").code == 78


@pytest.mark.parametrize(("store", "code"), [(":memory:", 78), (".", 78), ("mysql://localhost/x", 78)])
def test_what_cannot_be_a_store_is_a_matter_of_configuration(empty: Folder, store: str, code: int) -> None:
    """Not worth trying again."""
    said = empty.rota("submit", "bake", "{}", "--store", store)

    assert said.code == code
    assert said.out == ""


def test_a_file_that_is_no_store_is_refused_and_left_alone(empty: Folder) -> None:
    """Somebody's letter is not a database."""
    (empty.path / "letter.txt").write_text("Dear Anna, " * 200)

    said = empty.rota("jobs", "--store", "letter.txt")

    assert said.code == 69
    assert "letter.txt is no SQLite database. Nothing was written. Name another file" in said.err
    assert (empty.path / "letter.txt").read_text() == "Dear Anna, " * 200


def test_a_file_is_brought_up_to_date_and_made(empty: Folder) -> None:
    """The same command before the first start, whatever the engine."""
    planned = empty.rota("migrate", "--store", "new.db", "--dry-run", "--json")
    assert planned.object == {"store": "new.db", "pending": ["001_first"]}
    assert not (empty.path / "new.db").exists()

    first = empty.rota("migrate", "--store", "new.db", "--json")

    assert first.object == {"store": "new.db", "applied": ["001_first"]}
    assert empty.rota("migrate", "--store", "new.db").out == "new.db is up to date.\n"
    assert empty.rota("status", "--store", "new.db").code == 0
