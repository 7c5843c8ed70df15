"""A type checker is the first reader of a user's code: what it lets through, and what it stops, is part of the product."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

SAMPLES = Path(__file__).parent / "samples"
ROOT = Path(__file__).parents[2]
EXPECT = re.compile(r"# expect: ([a-z -]+)$")
ERROR = re.compile(r"^(?P<file>[^:]+):(?P<line>\d+): error: .*\[(?P<code>[a-z-]+)\]$")

Found = dict[tuple[str, int], list[str]]


@pytest.fixture(scope="module")
def reported() -> Found:
    """What mypy, as strict as it gets, says of the samples: error codes by file and line."""
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--hide-error-context"]
    done = subprocess.run(
        [*command, *map(str, sorted(SAMPLES.glob("*.py")))], cwd=ROOT, capture_output=True, text=True, check=False
    )
    found: Found = {}
    for line in done.stdout.splitlines():
        if match := ERROR.match(line):
            found.setdefault((Path(match["file"]).name, int(match["line"])), []).append(match["code"])
        else:
            assert ": note: " in line, f"mypy said something else: {line}\n{done.stderr}"
    assert found, done.stderr
    return {place: sorted(codes) for place, codes in found.items()}


def expected(sample: Path) -> Found:
    """Return the error codes that the comments of a sample ask for."""
    return {
        (sample.name, number): sorted(match[1].split())
        for number, line in enumerate(sample.read_text().splitlines(), 1)
        if (match := EXPECT.search(line))
    }


def of_file(found: Found, name: str) -> Found:
    """Return what was found in one sample."""
    return {place: codes for place, codes in found.items() if place[0] == name}


def test_what_users_write_passes_the_type_checker(reported: Found) -> None:
    """Results, tokens, batches, options and async twins have the types that the function's annotations give them."""
    assert of_file(reported, "good.py") == {}


def test_what_is_wrong_is_stopped_by_the_type_checker(reported: Found) -> None:
    """A wrong argument is found in the editor, not in production; and each line gets exactly the errors it should."""
    wanted = expected(SAMPLES / "bad.py")

    assert len(wanted) > 20
    assert of_file(reported, "bad.py") == wanted
