from __future__ import annotations

import re
from pathlib import Path

import pytest

from rota import errors
from tests.house.tree import ROOT, told

RECORDS = sorted((ROOT / "docs" / "decisions").glob("*.md"))
RECORD_HEADINGS = ["Context", "Decision", "Consequences", "What would change our mind"]
RECORD_LINES_MAX = 70
CHANGES = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def headings(text: str, level: int) -> list[str]:
    """Return the headings of one level, in order."""
    return re.findall(rf"^{'#' * level} (.+)$", text, re.MULTILINE)


@pytest.mark.parametrize("record", RECORDS, ids=told)
def test_a_decision_record_has_its_four_parts_on_one_page(record: Path) -> None:
    """What would change our mind is the part that lets a successor decide anew instead of guessing."""
    text = record.read_text()
    number = record.name.split("-")[0]

    assert re.fullmatch(r"\d{4}-[a-z0-9-]+\.md", record.name), f"{record.name}: NNNN-words-of-the-title.md"
    assert text.startswith(f"# {number}. "), f"{record.name} must begin with '# {number}. Title'."
    assert headings(text, 2) == RECORD_HEADINGS
    assert len(text.splitlines()) <= RECORD_LINES_MAX


def test_decision_numbers_are_used_once() -> None:
    """A record is replaced by a new one with the next number, never edited into another decision."""
    numbers = [record.name[:4] for record in RECORDS]

    assert len(numbers) == len(set(numbers))


def test_the_change_log_keeps_its_form() -> None:
    """Keep a Changelog: newest first, one line a change, saying what a user should do."""
    text = (ROOT / "CHANGELOG.md").read_text()
    releases = headings(text, 2)

    assert text.startswith("# Changelog\n")
    assert releases[0] == "[Unreleased]"
    assert all(re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d", release) for release in releases[1:])
    assert set(headings(text, 3)) <= CHANGES
    body = text.split("## ", 1)[1].splitlines()[1:]
    strays = [line for line in body if line and not line.startswith(("- ", "## ", "### ", "["))]
    assert not strays, f"One line a change, each beginning with '- ': {strays}"


def test_every_code_of_an_error_has_its_row() -> None:
    """A person looks for the code in brackets, and for nothing else. `JobError` itself is only caught, never raised."""
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.RotaError)]
    codes = {kind.code: kind.__name__ for kind in kinds if kind not in (errors.RotaError, errors.JobError)}
    page = (ROOT / "docs" / "troubleshooting.md").read_text()

    assert dict(re.findall(r"^\| (ROTA-\d+) \| `(\w+)` \|", page, re.MULTILINE)) == codes
