"""What holds for every command: pipes, interrupts, colour, JSON."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

from tests.integration.cli.shop import ROTA, Folder


def test_a_reader_that_has_gone_is_no_error(shop: Folder) -> None:
    """`rota jobs | head -1` ends quietly."""
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [ROTA, "jobs", "--json"],
        cwd=shop.path,
        env=shop.environment,
        stdout=writer,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(writer)

    assert done.returncode == 0
    assert done.stderr == b""


def test_streams_that_are_closed_or_full_are_told_in_words(shop: Folder) -> None:
    """A daemon's child has no streams, and a disk may be full behind `>`: neither is a fault of rota's."""
    submit = [ROTA, "submit", "bake", "-"]
    for line, code, says in (
        (f"exec {' '.join(submit)} <&-", 2, b"are not JSON"),
        (f"exec {ROTA} jobs >&-", 0, b""),
        (f"exec {ROTA} jobs 2>&-", 0, b""),
        *(
            (f"exec {ROTA} {words} > /dev/full", 75, b"the output cannot be written: No space left on device.")
            for words in ("jobs", "--version", "--help", "jobs --help", "jobs --json --help")
        ),
    ):
        done = subprocess.run(["sh", "-c", line], cwd=shop.path, env=shop.environment, capture_output=True, check=False)
        assert (done.returncode, b"Traceback" in done.stderr) == (code, False), line
        assert says in done.stderr, line


def test_an_argument_that_is_no_text_is_a_wrong_argument(shop: Folder) -> None:
    """A name that was typed in another encoding."""
    said = shop.rota("jobs", "--key", "b\udcff")

    assert (said.code, said.err) == (2, "rota: an argument is not text in UTF-8. Nothing was done.\n")


def test_an_empty_store_or_app_option_is_refused(shop: Folder) -> None:
    """`--store "$STORE"` with nothing in it must not be the default."""
    said = shop.rota("submit", "bake", "{}", "--store", "")

    assert said.code == 2
    assert said.err.startswith("rota: --store is empty. Nothing was done.\n")
    assert shop.rota("submit", "bake", "{}", "--app", "").err.startswith("rota: --app is empty. Nothing was done.\n")


def test_an_empty_token_is_none(shop: Folder) -> None:
    """Without it a second submit would be a second job, and a loop over pages would begin anew."""
    for words in (("submit", "bake", "{}", "--token", ""), ("jobs", "--before", "")):
        said = shop.rota(*words)
        assert (said.code, said.out) == (2, ""), words
        assert "'' is not a token" in said.err


def test_an_interrupt_ends_quietly_with_130(shop: Folder) -> None:
    """Ctrl-C is not an error of anybody."""
    folder = Path(f"{shop.path / 'rota.db'}.d") / "wake"
    words = [ROTA, "wait", shop.tokens["scheduled"]]
    with subprocess.Popen(words, cwd=shop.path, env=shop.environment, stderr=subprocess.PIPE, text=True) as waiting:
        while waiting.poll() is None and not (folder.is_dir() and any(folder.glob("*wait-*"))):
            os.sched_yield()
        waiting.send_signal(signal.SIGINT)
        _, told = waiting.communicate(timeout=30)

    assert (waiting.returncode, told) == (130, "rota: interrupted.\n")


def test_the_command_itself_is_installed_and_does_the_same(shop: Folder) -> None:
    """All other tests call it with its libraries loaded already."""
    done = subprocess.run(
        [ROTA, "jobs", "--json"], cwd=shop.path, env=shop.environment, capture_output=True, text=True, check=False
    )

    warm = shop.rota("jobs", "--json")
    assert (done.returncode, done.stdout, done.stderr) == (warm.code, warm.out, warm.err)


def test_no_colour_is_written_to_a_pipe(shop: Folder) -> None:
    """Escape codes in a file help nobody."""
    assert "\x1b" not in shop.rota("jobs", NO_COLOR="").out
    assert "\x1b" not in shop.rota("job", shop.tokens["failed"], NO_COLOR="").out


def test_json_is_json_throughout(shop: Folder) -> None:
    """Every command that shows something gives it as JSON, too."""
    for words in (["status"], ["jobs"], ["queues"], ["workers"], ["ring"], ["doctor"], ["health"]):
        said = shop.rota(*words, "--json")
        assert said.out, words
        assert all(isinstance(json.loads(line), dict) for line in said.lines), words
