"""The repository as the house tests see it."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "rota"


def own_files(*suffixes: str) -> list[Path]:
    """Return the files of the repository, tracked or about to be, with one of these suffixes; all if none is given."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    names = listed.stdout.split("\0") if listed.returncode == 0 else _walked()
    files = [ROOT / name for name in sorted(names) if name]
    return [file for file in files if file.is_file() and (not suffixes or file.suffix in suffixes)]


def nodes_of(file: Path) -> Iterator[ast.AST]:
    """Yield everything that stands in a Python file."""
    return ast.walk(ast.parse(file.read_text()))


def _walked() -> list[str]:
    """Return what is there when this is no git checkout, such as an unpacked source archive."""
    hidden = {".git", "__pycache__", ".hypothesis", "build"}
    return [
        str(path.relative_to(ROOT))
        for path in ROOT.rglob("*")
        if not any(part in hidden or part.startswith(".venv") or part.endswith("_cache") for part in path.parts)
    ]


def told(path: Path) -> str:
    """Return the path as people write it, from the root."""
    return str(path.relative_to(ROOT))
