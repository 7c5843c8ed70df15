from __future__ import annotations

import os
import subprocess
import sys

import pytest

FAULT = """
import sys
from rota.cli import main, queue

def broken(*_):
    raise ZeroDivisionError("a fault that nobody foresaw")

queue.with_store = broken
sys.argv = ["rota", "queues"]
main.main()
"""


def call(**environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", FAULT], capture_output=True, text=True, check=False, env=environment | {"NO_COLOR": "1"}
    )


def test_a_fault_of_ours_is_a_sentence_and_not_a_traceback() -> None:
    """A person who typed a command has no use for our line numbers; 70 says that it is not their doing."""
    done = call()

    assert (done.returncode, done.stdout) == (70, "")
    assert "a fault in rota itself: ZeroDivisionError: a fault that nobody foresaw" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("value", ["1", "yes"])
def test_the_traceback_is_there_for_those_who_ask(value: str) -> None:
    """A report of a fault needs it."""
    done = call(ROTA_DEBUG=value)

    assert done.returncode == 1
    assert "Traceback" in done.stderr


@pytest.mark.parametrize("words", [("--help",), ("jobs", "--help"), ("jobs", "--json", "--help"), ("--version",)])
def test_help_for_a_reader_who_has_gone_is_no_failure(words: tuple[str, ...]) -> None:
    """A pager that was left, or ``head``, has seen enough."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        command = [sys.executable, "-c", "from rota.cli.main import main; main()", *words]
        done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    finally:
        os.close(writer)

    assert (done.returncode, done.stderr) == (0, "")
