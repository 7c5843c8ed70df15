"""What there is to know about one source file. Plain Python: it runs the same in a worker and in a loop."""

from __future__ import annotations

import ast
import hashlib
import sysconfig
import warnings
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

LIBRARY = Path(sysconfig.get_path("stdlib"))

# Old test files hold escapes that Python warns of when it reads them.
warnings.simplefilter("ignore", SyntaxWarning)
warnings.simplefilter("ignore", DeprecationWarning)


@dataclass(frozen=True)
class SourceFile:
    """One file of the standard library; ``path`` is relative to it."""

    package: str
    path: str


@dataclass(frozen=True)
class Facts:
    """What was found in a file. ``is_python`` is false for the few that are broken on purpose, to test parsers."""

    path: str
    sha256: str
    lines: int
    functions: int
    classes: int
    imports: int
    is_python: bool


def library_files(limit: int | None = None) -> list[SourceFile]:
    """Return the files of the standard library, sorted by path; every second, third … of them to stay below a ``limit``."""
    paths = sorted(
        path.relative_to(LIBRARY)
        for path in LIBRARY.rglob("*.py")
        if not {"site-packages", "dist-packages"} & set(path.parts)
    )
    step = 1 if limit is None else max(1, -(-len(paths) // limit))
    return [SourceFile(package=path.parts[0].removesuffix(".py"), path=path.as_posix()) for path in paths[::step]]


def facts_of(file: SourceFile) -> Facts:
    """Read one file, parse it, count and hash."""
    source = (LIBRARY / file.path).read_bytes()
    try:
        kinds = Counter(map(type, ast.walk(ast.parse(source))))
        is_python = True
    except (SyntaxError, ValueError):
        kinds, is_python = Counter(), False
    return Facts(
        path=file.path,
        sha256=hashlib.sha256(source).hexdigest(),
        lines=source.count(b"\n"),
        functions=kinds[ast.FunctionDef] + kinds[ast.AsyncFunctionDef],
        classes=kinds[ast.ClassDef],
        imports=kinds[ast.Import] + kinds[ast.ImportFrom],
        is_python=is_python,
    )
