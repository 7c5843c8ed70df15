"""`make demo` in small, and its judge: fed with planted wrongs, it must find each."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from examples.stdlib_index.facts import SourceFile
from examples.stdlib_index.logbook import Entry
from examples.stdlib_index.verdict import Crash, Verdict, judge
from tests.house.tree import ROOT
from tests.postgres_server import binaries_or_skip

FILES = {"a": SourceFile("json", "json/a.py"), "b": SourceFile("json", "json/b.py"), "c": SourceFile("os", "os.py")}
CRASH = Crash(pid=1, at=2.0)
GOOD = [
    Entry("start", "json/a.py", "a", 1, 1, 1.0),
    Entry("start", "os.py", "c", 1, 2, 1.0),
    Entry("end", "os.py", "c", 1, 2, 1.5),
    Entry("start", "json/a.py", "a", 2, 2, 2.25),
    Entry("end", "json/a.py", "a", 2, 2, 3.0),
    Entry("start", "json/b.py", "b", 1, 3, 3.5),
    Entry("end", "json/b.py", "b", 1, 3, 4.0),
]
FENCES = {"a": 2, "b": 1, "c": 1}


def judged(*more: Entry, without: str = "", fences: dict[str, int] | None = None) -> Verdict:
    """Judge the good story with entries added, or all those of one job taken out."""
    entries = sorted([*(entry for entry in GOOD if entry.token != without), *more], key=lambda entry: entry.at)
    return judge(entries, FILES, FENCES if fences is None else fences, CRASH)


def test_a_crash_that_was_made_up_for_is_good() -> None:
    verdict = judged()

    assert verdict.is_good
    assert verdict.interrupted == ["a"]
    assert verdict.recovery == [0.25]


def test_a_job_that_never_ran_is_lost() -> None:
    assert judged(without="b").lost == ["b"]


def test_a_job_whose_result_was_not_recorded_is_lost() -> None:
    assert judged(fences={"a": 2, "c": 1}).lost == ["b"]


def test_a_job_that_is_run_after_it_was_recorded_is_done_twice() -> None:
    verdict = judged(Entry("start", "os.py", "c", 2, 3, 5.0), Entry("end", "os.py", "c", 2, 3, 5.5))

    assert verdict.done_twice == ["c"]
    assert not verdict.is_good


def test_two_runs_of_a_job_at_once_are_found() -> None:
    verdict = judged(Entry("start", "os.py", "c", 1, 3, 1.25), Entry("end", "os.py", "c", 1, 3, 1.75))

    assert verdict.overlaps == ["c"]
    assert not verdict.is_good


def test_a_job_that_overtakes_the_one_ahead_in_its_package_is_found() -> None:
    verdict = judged(
        Entry("start", "json/b.py", "b", 1, 3, 2.5), Entry("end", "json/b.py", "b", 1, 3, 2.75), without="b"
    )

    assert verdict.out_of_order == ["b"]
    assert not verdict.is_good


def test_an_interrupted_job_that_nobody_took_up_is_not_good() -> None:
    entries = [entry for entry in GOOD if (entry.token, entry.fence) != ("a", 2)]

    verdict = judge(entries, FILES, FENCES | {"a": 1}, CRASH)

    assert verdict.interrupted == ["a"]
    assert verdict.recovery == []
    assert not verdict.is_good


@pytest.mark.slow(seconds=5)
@pytest.mark.parametrize(
    ("engine", "files"), [("sqlite", 300), pytest.param("postgres", 150, marks=pytest.mark.postgres)]
)
def test_the_demo_is_green(engine: str, files: int, tmp_path: Path) -> None:
    """The first thing that a newcomer runs. A few hundred files, the same story."""
    if engine == "postgres":
        binaries_or_skip()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ROTA_")}

    done = subprocess.run(
        [sys.executable, "-m", "examples.stdlib_index", "--limit", str(files), "--folder", str(tmp_path / "demo")],
        cwd=ROOT,
        env=environment | {"ENGINE": engine},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "equal to the plain loop" in done.stdout


def test_without_a_server_the_demo_says_what_to_install(tmp_path: Path) -> None:
    """A newcomer without PostgreSQL reads one sentence, not a traceback."""
    program = (
        "import sys; from pathlib import Path; from scripts import postgres_server; from examples.stdlib_index import __main__;"
        "postgres_server.BINARIES = Path('/nowhere'); sys.exit(__main__.main())"
    )

    done = subprocess.run(
        [sys.executable, "-c", program, "--limit", "5", "--folder", str(tmp_path / "demo")],
        cwd=ROOT,
        env={"ENGINE": "postgres", "PATH": ""},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 1
    assert "apt-get install postgresql" in done.stderr
    assert "ROTA_STORE=postgresql://" in done.stderr
    assert "Traceback" not in done.stderr
