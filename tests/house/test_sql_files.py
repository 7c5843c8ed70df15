"""Every statement is a file of its own, with a header that says what it takes, locks and returns, and where its twin is."""

from __future__ import annotations

import re
from collections.abc import Callable
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


def what_the_header_lacks(file: Path) -> str:
    """Return what a reviewer would miss, or nothing."""
    lines = header(file)
    if not lines:
        return "has no header"
    if not re.match(rf"{file.stem}(\([^)]*\))?: \S.*", lines[0]):
        return f"must begin with '-- {file.stem}: what it does'"
    missing = [name for name in FIELDS if not field(file, name)]
    return f"does not say: {', '.join(missing)}" if missing else ""


def what_is_wrong_with_the_twin(file: Path) -> str:
    """Return how a statement and that of the other engine do not name each other, or nothing."""
    twin = field(file, "Twin") or ""
    other = ENGINES[engine_of(file)]
    named = re.findall(r"store/(\w+)/sql/(\w+)\.sql", twin)
    if named:
        strays = sorted({engine for engine, _ in named} - {other})
        missing = [stem for engine, stem in named if not (SOURCE / "store" / engine / "sql" / f"{stem}.sql").exists()]
        return f"names twins that do not exist: {strays + missing}" if strays or missing else ""
    if not re.match(r"none\W+\w+", twin, re.IGNORECASE):
        return "must name its twin, or say 'none: why'"
    return "has a twin and denies it" if (SOURCE / "store" / other / "sql" / file.name).exists() else ""


@pytest.mark.parametrize("question", [what_the_header_lacks, what_is_wrong_with_the_twin], ids=lambda one: one.__name__)
def test_a_statement_says_what_it_does_and_who_is_its_twin(question: Callable[[Path], str]) -> None:
    """The header is the contract that a reviewer holds it against; what one engine alone does is where they drift apart."""
    answers = {file: question(file) for file in STATEMENTS}

    assert not any(answers.values()), "; ".join(f"{told(file)} {says}" for file, says in answers.items() if says)


def test_a_planted_header_is_found(tmp_path: Path) -> None:
    """A checker that cannot fail checks nothing."""
    file = tmp_path / "claim.sql"

    file.write_text("SELECT 1;\n")
    assert what_the_header_lacks(file) == "has no header"
    file.write_text("-- claims: take\n")
    assert what_the_header_lacks(file).startswith("must begin")
    file.write_text("-- claim: take\n--\n-- Takes    :a\n-- Returns  b\n-- Locks    c\n-- Plan     d\n")
    assert what_the_header_lacks(file) == "does not say: Twin"


@pytest.mark.parametrize("engine", sorted(ENGINES))
def test_migrations_are_numbered_without_gaps(engine: str) -> None:
    """They are applied in the order of their numbers, once each."""
    numbers = sorted(int(file.name.split("_")[0]) for file in MIGRATIONS if engine_of(file) == engine)

    assert numbers == list(range(1, len(numbers) + 1))
