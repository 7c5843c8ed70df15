"""The page that tells of all mutants, ``docs/mutants.md``: written anew between two marks by each full run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tests.mutants.mutant import ROOT

PAGE = ROOT / "docs" / "mutants.md"
_BEGIN = "<!-- written by `make mutants` -->\n"
_END = "<!-- end -->\n"


@dataclass(frozen=True)
class Row:
    """What became of one mutant.

    Attributes:
        says: The mistake, or the guard that was taken out, in words.
        by: What noticed it; empty when nothing did.
        after: After how many of what.
    """

    says: str
    by: str
    after: str


def told(says: str) -> str:
    """Return words as they stand in a table."""
    return says.replace("|", "\\|")


def table(title: str, first: str, rows: Sequence[Row]) -> str:
    """Return a table in Markdown."""
    lines = [f"### {title}", "", f"| {first} | Noticed by | After |", "|---|---|---|"]
    lines += [f"| {told(row.says)} | {told(row.by) or '**nobody**'} | {row.after} |" for row in rows]
    return "\n".join(lines) + "\n"


def write(tables: Sequence[str], about: str) -> None:
    """Put the tables on the page."""
    page = PAGE.read_text()
    before, _, rest = page.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    PAGE.write_text(before + _BEGIN + "\n" + about + "\n\n" + "\n".join(tables) + "\n" + _END + after)
