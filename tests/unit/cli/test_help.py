from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from tests.integration.cli.shop import Said, WarmRota

COMMANDS = (
    "run", "submit", "status", "wait", "jobs", "job", "retry", "cancel", "pause", "resume", "queues", "workers", "ring",
    "backup", "migrate", "doctor", "health",
)  # fmt: skip

HEAVY = {"apsw", "asyncio", "asyncpg", "msgspec", "pydantic", "rich", "uvloop", "rota.store.port", "rota.app.rota"}

REPORT = """
import json, sys
from rota.cli.main import main
try:
    main()
finally:
    print(json.dumps(sorted(sys.modules)), file=sys.stderr)
"""


Rota = Callable[..., Said]


@pytest.fixture(scope="module")
def rota(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rota]:
    """Call `rota`, in a process that has loaded it already."""
    folder = tmp_path_factory.mktemp("warm")
    warm = WarmRota(folder)
    yield lambda *words: warm.call(words, folder, dict(os.environ), "")
    warm.close()


def loaded(*words: str) -> set[str]:
    """Return what a cold `rota` has loaded by the end of a call."""
    done = subprocess.run([sys.executable, "-c", REPORT, *words], capture_output=True, text=True, check=False)
    return set(json.loads(done.stderr.splitlines()[-1]))


@pytest.mark.parametrize("words", [("--help",), ("jobs", "--help"), ("run", "--help"), ("--version",), ("jbos",)])
def test_help_loads_nothing_that_help_does_not_need(words: tuple[str, ...]) -> None:
    """Help must be there at once; a database driver takes longer to load than a page takes to read."""
    assert loaded(*words) & HEAVY == set()


@pytest.mark.parametrize(
    "words", [("run", "-p", "0"), ("wait", "x", "y"), ("submit", "bake", "--delay", "soon"), ("jobs", "--sate", "x")]
)
def test_parsing_loads_nothing_that_the_command_itself_does_not_need(words: tuple[str, ...]) -> None:
    """Every command is parsed first, so what parsing loads is paid by each."""
    assert loaded(*words) & HEAVY == set()


def test_help_is_there_whatever_stands_behind(rota: Rota) -> None:
    """Who asks for help while in trouble with the rest of the line has asked for help."""
    assert rota("jobs", "--help", "--nope").out == rota("jobs", "--help").out
    assert rota("--help", "nope").out == rota("--help").out
    assert rota("jobs", "--limit", "5", "--help").out == rota("jobs", "--help").out


def test_a_help_word_may_be_an_options_value(rota: Rota) -> None:
    """A key may be called anything."""
    done = rota("jobs", "--key", "-h", "--store", "/nowhere/rota.db")

    assert done.out == ""
    assert "there is no store at /nowhere/rota.db" in done.err


def test_the_help_lists_every_command_and_exit_code(rota: Rota) -> None:
    """Whoever reads it needs no other page to begin."""
    done = rota("--help")

    assert done.code == 0
    assert [name for name in COMMANDS if f"\n  {name} " not in done.out] == []
    assert [
        code
        for code in ("0", "1", "2", "3", "4", "69", "70", "75", "78", "124", "130")
        if f"\n  {code} " not in done.out
    ] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_examples_and_fits_eighty_columns(rota: Rota, command: str) -> None:
    """An example is read before anything else."""
    done = rota(command, "--help")

    assert done.code == 0
    assert f"\nExamples\n  rota {command}" in done.out
    about = done.out.partition("\nExamples\n")[0]
    assert [line for line in about.splitlines() if len(line) > 80] == []


@pytest.mark.parametrize(("typed", "meant"), [("sttus", "status"), ("worker", "workers"), ("job_s", "jobs")])
def test_a_mistyped_command_gets_a_suggestion(rota: Rota, typed: str, meant: str) -> None:
    """Usage errors are 2, and say what was probably meant."""
    done = rota(typed)

    assert done.code == 2
    assert meant in done.err.splitlines()[0]
    assert done.out == ""


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
def test_a_wrong_command_line_says_what_is_right(rota: Rota, words: tuple[str, ...], says: str) -> None:
    """The next thing to type is there, and not to be searched for."""
    done = rota(*words)

    assert done.code == 2
    assert says in done.err


def test_a_bare_rota_shows_the_help_and_is_no_success(rota: Rota) -> None:
    """A script whose variable is empty must not go on as if something had been done."""
    done = rota()

    assert done.code == 2
    assert done.out.startswith("Usage  rota COMMAND")


def test_the_version_is_the_package_s(rota: Rota) -> None:
    """What a report of a fault begins with."""
    from importlib.metadata import version

    assert rota("--version").out == f"rota {version('rota')}\n"
