"""Check that whatever the docs point at is there: relative links, headings, and paths named in backticks.

    python scripts/check_links.py            every tracked or new Markdown file, and the docstrings of the source

A path in backticks counts when it has a slash and ends like a file or a folder of this repository (``store/port.py``,
``tests/contract/``). It may be given from the root, from ``src/rota``, or from the page's own folder. Fenced code is not
looked at. Source docstrings name the tests that hold their invariants: those must exist as well.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
TICKED = re.compile(r"`([\w.-]+(?:/[\w.-]+)*/(?:[\w-]+\.(?:py|md|sql|toml|txt|in))?)`")
HEADING = re.compile(r"^#+\s+(.*)$", re.MULTILINE)
NAMED_IN_SOURCE = re.compile(r"\b(?:tests|docs|bench|examples)/[\w/-]+\.(?:py|md)\b")


def pages() -> list[Path]:
    """Return the Markdown pages of the repository, sorted."""
    return sorted(
        [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md"), *ROOT.glob("bench/*.md")]
    )


def anchor(heading: str) -> str:
    """Return the anchor that a heading gets when the page is shown."""
    text = re.sub(r"[^\w\s-]", "", heading.lower().replace("`", ""))
    return re.sub(r"\s", "-", text.strip())


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page."""
    return {anchor(heading) for heading in HEADING.findall(FENCE.sub("", page.read_text()))}


def is_there(path: str, page: Path) -> bool:
    """Whether a named path exists, seen from the root, from the package or from its page."""
    return any((base / path).exists() for base in (ROOT, ROOT / "src" / "rota", page.parent))


def broken_in(page: Path) -> Iterator[str]:
    """Yield a sentence for each thing that this page points at and that is not there."""
    text = FENCE.sub("", page.read_text())
    for target in LINK.findall(text):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, heading = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        if not linked.exists():
            yield f"{page.relative_to(ROOT)}: link to {target}, which does not exist"
        elif heading and linked.suffix == ".md" and heading not in anchors(linked):
            yield f"{page.relative_to(ROOT)}: link to {target}, but that page has no such heading"
    for path in TICKED.findall(text):
        if not is_there(path, page):
            yield f"{page.relative_to(ROOT)}: names `{path}`, which does not exist"


def broken_in_source() -> Iterator[str]:
    """Yield a sentence for each test or page that a source file names and that is not there."""
    for file in sorted((ROOT / "src").rglob("*")):
        if file.suffix not in {".py", ".sql"}:
            continue
        for path in NAMED_IN_SOURCE.findall(file.read_text()):
            if not (ROOT / path).exists():
                yield f"{file.relative_to(ROOT)}: names {path}, which does not exist"


def main() -> int:
    """Print what is broken to stderr; return 1 if anything is."""
    broken = [line for page in pages() for line in broken_in(page)]
    broken += broken_in_source()
    for line in broken:
        print(line, file=sys.stderr)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
