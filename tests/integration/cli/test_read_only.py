"""Looking at a store that one may not write."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.cli.shop import Folder


@pytest.fixture
def sealed(shop: Folder) -> Iterator[Folder]:
    """A day's work in a folder in which nothing may be written."""
    shop.is_bare = True
    paths = [shop.path, *shop.path.rglob("*")]
    before = {path: path.stat().st_mode for path in paths}
    for path in paths:
        path.chmod(before[path] & ~0o222)
    yield shop
    for path, mode in before.items():
        path.chmod(mode)


def lying(folder: Path) -> list[tuple[str, int, int]]:
    return sorted((str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in folder.rglob("*"))


@pytest.mark.parametrize("command", ["status", "jobs", "queues", "workers", "ring", "doctor"])
def test_what_only_looks_needs_no_right_to_write(sealed: Folder, command: str) -> None:
    """An operator looks at another user's store, or at a volume that is mounted read-only."""
    before = lying(sealed.path)

    said = sealed.rota(command, "--json")

    assert said.code == 0, said.err
    assert said.objects
    assert lying(sealed.path) == before


def test_a_job_is_looked_at_and_waited_for_without_a_right_to_write(sealed: Folder) -> None:
    """Its story, its state, its result."""
    assert sealed.rota("job", sealed.tokens["failed"], "--json").object["error"]["message"] == "no oven"
    assert sealed.rota("status", sealed.tokens["letter"]).out == "waiting\n"
    assert sealed.rota("wait", sealed.tokens["succeeded"]).code == 0
    assert sealed.rota("wait", sealed.tokens["letter"], "--timeout", "0.1").code == 124
    assert sealed.rota("retry", "--task", "bake", "--failed", "--dry-run", "--json").object["failed"] == 1


@pytest.mark.parametrize(
    "words",
    [("cancel", "letter"), ("retry", "failed"), ("pause", "ovens"), ("resume", "ovens"), ("submit", "bake", "{}")],
    ids=" ".join,
)
def test_what_changes_something_says_who_can(sealed: Folder, words: tuple[str, ...]) -> None:
    """Before anything was touched."""
    before = lying(sealed.path)

    said = sealed.rota(*(sealed.tokens.get(word, word) for word in words))

    assert said.code == 69
    assert said.out == ""
    assert "rota.db may only be read" in said.err
    assert "Nothing was written" in said.err
    assert lying(sealed.path) == before


def test_the_doctor_says_that_a_store_may_only_be_read(sealed: Folder) -> None:
    """Else a submit that is refused would be the first to tell."""
    checks = {one["check"]: one for one in sealed.rota("doctor", "--json").objects}

    assert checks["rights"]["level"] == "note"
    assert checks["rights"]["says"].startswith("read only: ")
    assert checks["durability"]["level"] == "ok"


def test_a_folder_that_may_not_be_entered_is_no_fault_of_ours(shop: Folder) -> None:
    """It is said which path it was."""
    shop.is_bare = True
    inner = shop.path / "inner"
    inner.mkdir(mode=0o000)

    said = shop.rota("status", "--store", "inner/rota.db")

    inner.chmod(0o755)
    assert said.code == 69
    assert "inner/rota.db (--store) cannot be looked at" in said.err
