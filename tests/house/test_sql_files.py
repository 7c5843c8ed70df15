"""Every statement is a file of its own, with a header that says what it takes, locks and returns, and where its twin is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.house.tree import SOURCE, own_files, told

ENGINES = {"sqlite": "postgres", "postgres": "sqlite"}
FIELDS = ("Takes", "Returns", "Locks", "Plan", "Twin")
STATEMENTS = [file for file in own_files(".sql") if file.parent.name == "sql" and SOURCE in file.parents]
MIGRATIONS = [file for file in own_files(".sql") if file.parent.name == "migrations" and SOURCE in file.parents]


def header(file: Path) -> list[str]:
    """Return the comment lines at the top, without their dashes."""
    lines = []
    for line in file.read_text().splitlines():
        if not line.startswith("--"):
            break
        lines.append(line[2:].strip())
    return lines


def field(file: Path, name: str) -> str | None:
    """Return the text of one field of the header, its continued lines joined."""
    found: list[str] = []
    for line in header(file):
        if line.startswith(name + " "):
            found = [line[len(name) :].strip()]
        elif found and (not line or line.split(" ")[0] in FIELDS):
            break
        elif found:
            found.append(line)
    return " ".join(found) if found else None


def engine_of(file: Path) -> str:
    """Return which engine a file belongs to."""
    return file.relative_to(SOURCE / "store").parts[0]


def test_there_are_statements_to_check() -> None:
    """Guards this file against looking in the wrong folder."""
    assert {engine_of(file) for file in STATEMENTS} == set(ENGINES)
    assert {engine_of(file) for file in MIGRATIONS} == set(ENGINES)


@pytest.mark.parametrize("file", STATEMENTS, ids=told)
def test_a_statement_says_what_it_does(file: Path) -> None:
    """The header is the contract that a reviewer holds the statement against."""
    lines = header(file)

    assert lines, f"{told(file)} has no header."
    assert re.match(rf"{file.stem}(\([^)]*\))?: \S.*", lines[0]), (
        f"{told(file)} must begin with '-- {file.stem}: what it does'."
    )
    missing = [name for name in FIELDS if not field(file, name)]
    assert not missing, f"{told(file)} does not say: {', '.join(missing)}."


@pytest.mark.parametrize("file", STATEMENTS, ids=told)
def test_a_statement_has_its_twin_or_says_why_not(file: Path) -> None:
    """What one engine does and the other does not is where the two drift apart."""
    twin = field(file, "Twin") or ""
    other = ENGINES[engine_of(file)]

    named = re.findall(r"store/(\w+)/sql/(\w+)\.sql", twin)

    if named:
        assert {engine for engine, _ in named} == {other}
        missing = [stem for engine, stem in named if not (SOURCE / "store" / engine / "sql" / f"{stem}.sql").exists()]
        assert not missing, f"{told(file)} names twins that do not exist: {missing}"
    else:
        assert re.match(r"none\W+\w+", twin, re.IGNORECASE), f"{told(file)}: name the twin, or write 'none: why'."
        assert not (SOURCE / "store" / other / "sql" / file.name).exists(), f"{told(file)} has a twin and denies it."


@pytest.mark.parametrize("engine", sorted(ENGINES))
def test_migrations_are_numbered_without_gaps(engine: str) -> None:
    """They are applied in the order of their numbers, once each."""
    numbers = sorted(int(file.name.split("_")[0]) for file in MIGRATIONS if engine_of(file) == engine)

    assert numbers == list(range(1, len(numbers) + 1))
