"""A mutant: one mistake in the protocol, as a replacement in the text of the source, and who must notice it.

It is applied to a copy of ``src``, which a killer finds first on its path. The work tree is never touched.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src"


class NoSuchTextError(Exception):
    """A mutant does not apply any more: the text that it replaces is not there exactly once."""


@dataclass(frozen=True)
class Edit:
    """A replacement in one file.

    Attributes:
        file: From ``src/rota`` on.
        old: What is there, exactly once.
        new: What is there instead.
    """

    file: str
    old: str
    new: str

    def applied_to(self, text: str) -> str:
        """Return the text of the file with the replacement made.

        Raises:
            NoSuchTextError: What is to be replaced is not there exactly once.
        """
        if (count := text.count(self.old)) != 1:
            raise NoSuchTextError(f"src/rota/{self.file} has {count} times, and not once: {self.old!r}")
        return text.replace(self.old, self.new)


@dataclass(frozen=True)
class Seeds:
    """Killed by histories of the simulation: by one of the first so many seeds.

    Attributes:
        up_to: How many are tried at most.
        policy: How nodes prove that they live; ``None`` as each seed draws.
    """

    up_to: int
    policy: str | None = None


@dataclass(frozen=True)
class Tests:
    """Killed by tests that run anyway: by one of those in this file, or by this one.

    Attributes:
        where: As pytest takes it; several with a space between them.
    """

    where: str


@dataclass(frozen=True)
class Mutant:
    """A mistake in the protocol.

    Attributes:
        name: For the command line.
        says: The mistake, in words.
        edits: How it is made.
        killer: Who must notice.
    """

    name: str
    says: str
    edits: tuple[Edit, ...]
    killer: Seeds | Tests


def check(edits: Sequence[Edit]) -> None:
    """Apply edits to nothing but the text.

    Raises:
        NoSuchTextError: One of them does not apply.
    """
    texts: dict[str, str] = {}
    for edit in edits:
        text = texts.get(edit.file) or (SOURCE / "rota" / edit.file).read_text()
        texts[edit.file] = edit.applied_to(text)


def copy_with(edits: Sequence[Edit], folder: Path, source: Path = SOURCE) -> None:
    """Copy the source into a folder and make the edits there.

    Raises:
        NoSuchTextError: One of them does not apply.
    """
    shutil.copytree(source / "rota", folder / "rota", ignore=shutil.ignore_patterns("__pycache__"))
    for edit in edits:
        path = folder / "rota" / edit.file
        path.write_text(edit.applied_to(path.read_text()))
