"""Bring a store's schema up to this code's, when it is opened.

The version is SQLite's ``user_version``; the number in ``application_id`` says that the file is one of ours. Each migration
runs in a transaction with the version that it makes, so a process that dies half way leaves the store as it was.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cache
from importlib.resources import files

import apsw

from rota.errors import SchemaVersionError, UnsupportedStoreError
from rota.store.sqlite.faults import translate
from rota.store.statements import Step, without_comments

APPLICATION_ID = 0x726F7461
"""The letters ``rota``."""


@cache
def migrations() -> tuple[str, ...]:
    """Return the scripts in order; the first makes version 1 out of nothing."""
    return tuple(text for _, text in _files())


@cache
def _files() -> tuple[tuple[str, str], ...]:
    folder = files("rota.store") / "sqlite" / "migrations"
    scripts = sorted((entry for entry in folder.iterdir() if entry.name.endswith(".sql")), key=lambda entry: entry.name)
    return tuple(
        (script.name.removesuffix(".sql"), without_comments(script.read_text(encoding="utf-8"))) for script in scripts
    )


def version_of(db: apsw.Connection) -> int:
    """Return the version of the schema in the file; 0 for an empty one."""
    return int(db.pragma("user_version"))


def pending(path: str) -> list[Step]:
    """Return the migrations that opening this file would run, each as a script for the ``sqlite3`` shell. Writes nothing.

    Raises:
        SchemaVersionError: The store was made by a newer rota.
        UnsupportedStoreError: The file is a database of some other program.
        StoreError: It cannot be read.
    """
    found = 0
    if os.path.exists(path):
        try:
            db = apsw.Connection(path, flags=apsw.SQLITE_OPEN_READONLY)
            try:
                refuse_stranger(db, path, len(_files()))
                found = version_of(db)
            finally:
                db.close()
        except apsw.Error as error:
            raise translate(error, path) from error
    return [
        Step(
            name,
            f"{text.rstrip().removesuffix(';')};\nPRAGMA application_id = {APPLICATION_ID};\nPRAGMA user_version = {number};\n",
        )
        for number, (name, text) in enumerate(_files(), start=1)
        if number > found
    ]


def script(steps: Sequence[Step]) -> str:
    """Return the steps as one script for the ``sqlite3`` shell, one transaction a step."""
    return "\n\n".join([".bail on", *(f"-- {name}\nBEGIN IMMEDIATE;\n{sql}COMMIT;" for name, sql in steps)]) + "\n"


def migrate(db: apsw.Connection, path: str) -> None:
    """Make the schema that this code needs. Safe to call by several processes at once, and again.

    Raises:
        SchemaVersionError: The store was made by a newer rota.
        UnsupportedStoreError: The file is a database of some other program.
    """
    wanted = len(migrations())
    if version_of(db) == wanted and db.pragma("application_id") == APPLICATION_ID:
        return
    db.execute("BEGIN IMMEDIATE")
    try:
        refuse_stranger(db, path, wanted)
        for script in migrations()[version_of(db) :]:
            db.execute(script)
        db.pragma("application_id", APPLICATION_ID)
        db.pragma("user_version", wanted)
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def refuse_stranger(db: apsw.Connection, path: str, wanted: int) -> None:
    """Check that a file is one of ours, and not newer than this code.

    Raises:
        SchemaVersionError: The store was made by a newer rota.
        UnsupportedStoreError: The file is a database of some other program.
    """
    version, is_ours = version_of(db), db.pragma("application_id") == APPLICATION_ID
    if not is_ours and db.execute("SELECT count(*) FROM sqlite_schema").get:
        raise UnsupportedStoreError(
            f"{path} is a SQLite database, but none of rota's. Nothing was changed. Name another file; rota makes it.",
            path=path,
        )
    if version > wanted:
        raise SchemaVersionError(
            f"{path} has schema version {version}; this rota knows {wanted}. Nothing was changed. "
            "It was opened by a newer rota: `pip install --upgrade rota`.",
            path=path,
            found=version,
            wanted=wanted,
        )
