"""Set a killer on a mutant, in a process of its own whose path begins with the mutant's copy of the source."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.mutants.mutant import ROOT, SOURCE, Edit, Mutant, Seeds, Tests, copy_with

_SECONDS_MAX = 900
_FAILED = 1


@dataclass(frozen=True)
class Death:
    """What became of a mutant.

    Attributes:
        by: What noticed it, in words; empty when nothing did.
        after: How many seeds or tests it took.
        unit: What is counted.
    """

    by: str
    after: int
    unit: str


def kill(mutant: Mutant, source: Path = SOURCE) -> Death:
    """Set the mutant's killer on it."""
    return attack(mutant.edits, mutant.killer, source)


def attack(edits: Sequence[Edit], killer: Seeds | Tests, source: Path = SOURCE) -> Death:
    """Set a killer on the source with these edits made."""
    with tempfile.TemporaryDirectory(prefix="rota-mutant-") as folder:
        copy_with(edits, Path(folder), source)
        if isinstance(killer, Seeds):
            return _by_seeds(killer, folder, source)
        return _by_tests(killer, folder, source)


def _by_seeds(killer: Seeds, folder: str, source: Path) -> Death:
    first = 1
    while found := _first_broken(first, killer.up_to, killer.policy, folder):
        seed, truth = found
        if not _is_broken_anyway(seed, killer.policy, source):
            return Death(truth, seed, "seeds")
        first = seed + 1
    return Death("", killer.up_to, "seeds")


def _first_broken(first: int, last: int, policy: str | None, folder: str) -> tuple[int, str] | None:
    code, said = _run(folder, "tests.mutants.seeds", str(first), str(last), policy or "drawn", folder)
    if code != 0:
        raise RuntimeError(said)
    if not said.strip():
        return None
    seed, _, truth = said.strip().splitlines()[-1].partition("\t")
    return int(seed), truth


@cache
def _is_broken_anyway(seed: int, policy: str | None, source: Path) -> bool:
    """Whether a seed breaks a truth without any mutant, too: then it proves nothing about one."""
    return _first_broken(seed, seed, policy, str(source)) is not None


def _by_tests(killer: Tests, folder: str, source: Path) -> Death:
    code, said = _run_tests(folder, *killer.where.split())
    passed = re.search(r"(\d+) passed", said)
    count = int(passed.group(1)) if passed else 0
    if code == 0:
        return Death("", count, "tests")
    failed = re.search(r"^FAILED ([\w/.]+::(\w+))", said, re.MULTILINE)
    if code != _FAILED or failed is None:
        raise RuntimeError(said)
    test, name = failed.groups()
    if _is_red_anyway(test, source):
        raise RuntimeError(f"{test} fails without the mutant, too")
    return Death(name.removeprefix("test_").replace("_", " "), count + 1, "tests")


@cache
def _is_red_anyway(test: str, source: Path) -> bool:
    """Whether a test fails without any mutant, too."""
    return _run_tests(str(source), test)[0] != 0


def _run_tests(folder: str, *where: str) -> tuple[int, str]:
    options = ("-q", "-x", "-p", "no:randomly", "-p", "no:cacheprovider", "-p", "no:xdist", "--no-header", "--tb=no")
    return _run(folder, "pytest", *options, *where)


def _run(folder: str, module: str, *arguments: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": folder, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=_SECONDS_MAX,
    )
    return done.returncode, done.stdout + done.stderr
