"""Spin, called: a model and some flags in, what it found out."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

MODEL = Path(__file__).resolve().parents[2] / "model" / "rota.pml"
_MEMORY_MB_MAX = 4_000


class NoSpinError(Exception):
    """Spin, or a C compiler for what it writes, is not installed."""


@dataclass(frozen=True)
class Found:
    """What a search came to.

    Attributes:
        violated: The assertion that does not hold, as Spin words it; empty when all hold.
        is_exhaustive: Every state was visited.
        states: How many were.
        seconds: How long the search took, without making its program.
        unreached: Lines of the model with a step that was never taken.
        trail: The counterexample, step by step; empty when there is none.
    """

    violated: str
    is_exhaustive: bool
    states: int
    seconds: float
    unreached: frozenset[int]
    trail: str


def search(flags: Sequence[str] = (), *, is_optimised: bool = False, depth_max: int = 10_000) -> Found:
    """Search all states of the model under these flags, or up to the first counterexample.

    Args:
        flags: Names for -D, with a value or without.
        is_optimised: Spend a second more on the program, less time on the search, and less memory on its states.
        depth_max: The longest history.

    Raises:
        NoSpinError: It cannot be done here.
    """
    compiler = shutil.which("cc") or shutil.which("gcc")
    if shutil.which("spin") is None or compiler is None:
        raise NoSpinError("spin and a C compiler are needed (Debian: apt-get install spin gcc libc6-dev)")
    given = [f"-D{flag}" for flag in flags]
    how = ["-O2", "-DCOLLAPSE"] if is_optimised else ["-O0"]
    with tempfile.TemporaryDirectory(prefix="rota-spin-") as folder:
        # By its bare name: the compiler and the trail would not find it otherwise.
        shutil.copy(MODEL, folder)
        _run(folder, "spin", *given, "-a", MODEL.name)
        options = ["-w", *how, "-DSAFETY", "-DVECTORSZ=512", f"-DMEMLIM={_MEMORY_MB_MAX}"]
        _run(folder, compiler, *options, "-o", "pan", "pan.c")
        said = _run(folder, "./pan", f"-m{depth_max}", "-w20")
        has_trail = (Path(folder) / f"{MODEL.name}.trail").exists()
        trail = _run(folder, "spin", *given, "-t", "-p", MODEL.name) if has_trail else ""
    return _read(said, trail)


def _run(folder: str, *command: str) -> str:
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, env={**os.environ, "LC_ALL": "C"}
    )
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {done.stdout}{done.stderr}")
    return done.stdout


def _read(said: str, trail: str) -> Found:
    violated = re.search(r"^pan:\d+: (?:assertion violated )?(.+) \(at depth \d+\)$", said, re.MULTILINE)
    states = re.search(r"^\s*(\d+) states, stored$", said, re.MULTILINE)
    seconds = re.search(r"^pan: elapsed time ([\d.]+) seconds$", said, re.MULTILINE)
    errors = re.search(r"errors: (\d+)$", said, re.MULTILINE)
    if not (states and seconds and errors):
        raise RuntimeError(f"Spin's words are not understood:\n{said}")
    if bool(violated) != (errors.group(1) != "0"):
        raise RuntimeError(f"Spin counts {errors.group(1)} errors:\n{said}")
    is_cut_short = "Search not completed" in said or "max search depth too small" in said
    return Found(
        violated=violated.group(1) if violated else "",
        is_exhaustive=not violated and not is_cut_short,
        states=int(states.group(1)),
        seconds=float(seconds.group(1)),
        unreached=frozenset(
            int(line) for line in re.findall(rf"^\s+{MODEL.name}:(\d+), state \d+", said, re.MULTILINE)
        ),
        trail=trail,
    )
