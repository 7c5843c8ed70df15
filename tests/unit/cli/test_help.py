from __future__ import annotations

import json
import subprocess
import sys

import pytest

COMMANDS = (
    "run", "submit", "status", "wait", "jobs", "job", "retry", "cancel", "pause", "resume", "queues", "workers", "ring",
    "backup", "migrate", "doctor", "health",
)  # fmt: skip

HEAVY = {"apsw", "asyncio", "asyncpg", "msgspec", "rich", "uvloop", "rota.store.port", "rota.app.rota"}

REPORT = """
import json, sys
from rota.cli.main import main
try:
    main()
finally:
    print(json.dumps(sorted(sys.modules)), file=sys.stderr)
"""


def rota(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", REPORT, *words], capture_output=True, text=True, check=False)


def loaded(done: subprocess.CompletedProcess[str]) -> set[str]:
    return set(json.loads(done.stderr.splitlines()[-1]))


@pytest.mark.parametrize("words", [("--help",), ("jobs", "--help"), ("run", "--help"), ("--version",), ("jbos",)])
def test_help_loads_nothing_that_help_does_not_need(words: tuple[str, ...]) -> None:
    """Help must be there at once; a database driver takes longer to load than a page takes to read."""
    assert loaded(rota(*words)) & HEAVY == set()


@pytest.mark.parametrize("words", [("--help",), ("jobs", "--help"), ("run", "shop:app", "-h")])
def test_help_does_not_load_what_only_parsing_needs(words: tuple[str, ...]) -> None:
    """Newer typers parse by a library that takes a tenth of a second to load: as long as all of the help."""
    assert "pydantic" not in loaded(rota(*words))


def test_a_help_word_may_be_an_options_value() -> None:
    """A key may be called anything."""
    done = rota("jobs", "--key", "-h", "--store", "/nowhere/rota.db")

    assert done.stdout == ""
    assert "there is no store at /nowhere/rota.db" in done.stderr


def test_the_help_lists_every_command_and_exit_code() -> None:
    """Whoever reads it needs no other page to begin."""
    done = rota("--help")

    assert done.returncode == 0
    assert [name for name in COMMANDS if f"\n  {name} " not in done.stdout] == []
    assert [
        code
        for code in ("0", "1", "2", "3", "4", "69", "70", "75", "78", "124", "130")
        if f"\n  {code} " not in done.stdout
    ] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_examples_and_fits_eighty_columns(command: str) -> None:
    """An example is read before anything else."""
    done = rota(command, "--help")

    assert done.returncode == 0
    assert f"\nExamples\n  rota {command}" in done.stdout
    about = done.stdout.partition("\nExamples\n")[0]
    assert [line for line in about.splitlines() if len(line) > 80] == []


@pytest.mark.parametrize(("typed", "meant"), [("sttus", "status"), ("worker", "workers"), ("job_s", "jobs")])
def test_a_mistyped_command_gets_a_suggestion(typed: str, meant: str) -> None:
    """Usage errors are 2, and say what was probably meant."""
    done = rota(typed)

    assert done.returncode == 2
    assert meant in done.stderr.splitlines()[0]
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("help",), "There is no command 'help'. Did you mean --help"),
        (("version",), "Did you mean --version?"),
        (("jobs", "--sate", "failed"), "There is no option --sate. Did you mean --state or --store?"),
        (("run", "shop:app", "-p"), "rota run --help shows how it is written."),
        (("jobs", "--queue"), "rota jobs --help shows how it is written."),
        (("--store", "shop.db", "jobs"), "Options stand behind the command. rota --help shows how it is written."),
    ],
)
def test_a_wrong_command_line_says_what_is_right(words: tuple[str, ...], says: str) -> None:
    """The next thing to type is there, and not to be searched for."""
    done = rota(*words)

    assert done.returncode == 2
    assert says in done.stderr.partition("\n[")[0]


def test_a_bare_rota_shows_the_help_and_is_no_success() -> None:
    """A script whose variable is empty must not go on as if something had been done."""
    done = rota()

    assert done.returncode == 2
    assert done.stdout.startswith("Usage  rota COMMAND")


def test_the_version_is_the_package_s() -> None:
    """What a report of a fault begins with."""
    from importlib.metadata import version

    assert rota("--version").stdout == f"rota {version('rota')}\n"
