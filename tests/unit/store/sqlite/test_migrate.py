"""The schema's version: kept in the file, brought up to date, never turned back."""

from __future__ import annotations

import asyncio
import os

import apsw
import pytest

from rota.errors import ConfigError, SchemaVersionError, UnsupportedStoreError
from rota.store.sqlite import migrate as module
from rota.store.sqlite.migrate import APPLICATION_ID, migrate, migrations, pending, script, version_of
from rota.store.sqlite.store import SqliteStore
from tests.unit.store.sqlite.conftest import Opener


def test_a_new_file_has_the_newest_version(store: SqliteStore, path: str) -> None:
    """It says so to every process that opens it later."""
    db = apsw.Connection(path)

    assert version_of(db) == len(migrations())
    db.close()


def test_a_file_of_a_newer_rota_is_refused_and_left_alone(
    open_store: Opener, path: str, runner: asyncio.Runner
) -> None:
    """In a rolling deploy an old process must not write into what it does not know."""
    runner.run(open_store().close())
    db = apsw.Connection(path)
    db.pragma("user_version", 999)

    with pytest.raises(SchemaVersionError, match="999"):
        open_store()

    assert version_of(db) == 999
    db.close()


def test_a_database_of_another_program_is_refused_and_left_alone(open_store: Opener, path: str) -> None:
    """Somebody's bookkeeping must not get our tables."""
    db = apsw.Connection(path)
    db.execute("CREATE TABLE accounts (id INTEGER)")

    with pytest.raises(UnsupportedStoreError):
        open_store()

    assert db.execute("SELECT count(*) FROM sqlite_schema").get == 1
    db.close()


def test_an_older_file_gets_what_is_missing(
    open_store: Opener, path: str, runner: asyncio.Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One migration after the other, each once."""
    runner.run(open_store().close())
    monkeypatch.setattr(module, "migrations", lambda: (*migrations(), "CREATE TABLE later (id INTEGER)"))

    runner.run(open_store().close())
    runner.run(open_store().close())

    db = apsw.Connection(path)
    assert version_of(db) == len(migrations()) + 1
    assert db.execute("SELECT count(*) FROM later").get == 0
    db.close()


def test_a_migration_that_fails_leaves_the_file_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """The old program can still be started on it."""
    db = apsw.Connection(":memory:")
    migrate(db, ":memory:")
    broken = "CREATE TABLE half (id INTEGER); CREATE TABLE half (id INTEGER)"
    monkeypatch.setattr(module, "migrations", lambda: (*migrations(), broken))

    with pytest.raises(apsw.SQLError):
        migrate(db, ":memory:")

    assert version_of(db) == len(migrations())
    assert not db.in_transaction
    assert db.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'half'").get == 0
    db.close()


def test_an_unknown_durability_is_refused(open_store: Opener) -> None:
    """A typing mistake must not mean "less safe than you think"."""
    with pytest.raises(ConfigError):
        open_store(durability="ful")


def test_what_is_missing_is_said_before_it_is_done(path: str, open_store: Opener, runner: asyncio.Runner) -> None:
    """A dry run shows the steps and makes no file; the printed script, run by hand, leaves a store that opens."""
    steps = pending(path)
    assert [step.name for step in steps] == ["001_first"]
    assert not os.path.exists(path)

    db = apsw.Connection(path)
    db.execute(script(steps).removeprefix(".bail on"))
    db.close()

    assert pending(path) == []
    runner.run(open_store().close())


def test_a_newer_file_is_refused_with_the_command_to_type(path: str) -> None:
    """Whoever reads it wants to go on."""
    db = apsw.Connection(path)
    db.pragma("application_id", APPLICATION_ID)
    db.pragma("user_version", 999)
    db.close()

    with pytest.raises(SchemaVersionError, match="pip install --upgrade rota"):
        pending(path)
