"""`rota run` as a process: in the foreground, with a terminal and without."""

from __future__ import annotations

import codecs
import os
import pty
import re
import select
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rota.cli.live import count_until
from rota.cli.open import Place
from rota.cli.tally import Tally
from tests.integration.cli.shop import ROTA, Folder, WarmRota

WAIT_S = 60
PIZZA = '{"order": {"store": "mitte", "pizza": "funghi"}}'


@pytest.fixture
def folder(tmp_path: Path, warm: WarmRota) -> Folder:
    folder = Folder(tmp_path, warm)
    folder.write_app()
    return folder


class Node:
    """A running `rota run`, and what it has written so far."""

    def __init__(self, process: subprocess.Popen[bytes], source: int) -> None:
        self.process = process
        self.text = ""
        self._source = source
        self._decode = codecs.getincrementaldecoder("utf-8")().decode

    def read_until(self, is_enough: Callable[[str], object]) -> str:
        """Read until the text is enough, or the node has ended; return the text."""
        while not is_enough(self.text):
            ready, _, _ = select.select([self._source], [], [], WAIT_S)
            assert ready, f"nothing more came within {WAIT_S} s after: {self.text}"
            try:
                data = os.read(self._source, 65_536)
            except OSError:  # how a pseudo terminal says that its other end is gone
                data = b""
            if not data:
                break
            self.text += self._decode(data)
        return self.text

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask the node to end, read the rest, and return its exit code."""
        self.process.send_signal(number)
        self.read_until(lambda _: False)
        return self.process.wait(WAIT_S)


def plain(text: str) -> str:
    """Return what a terminal was sent, without its escape codes."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)


@pytest.fixture
def start(folder: Folder) -> Iterator[Callable[..., Node]]:
    """Start `rota run` without a terminal, or with one."""
    nodes: list[tuple[subprocess.Popen[bytes], int]] = []

    def start(*words: str, on_terminal: bool = False) -> Node:
        source, sink = pty.openpty() if on_terminal else os.pipe()
        environment = folder.environment | {"TERM": "xterm", "COLUMNS": "100"}
        process = subprocess.Popen(
            [ROTA, "run", "shop:app", "--name", "mitte", *words],
            cwd=folder.path,
            env=environment,
            stdin=sink if on_terminal else subprocess.DEVNULL,
            stdout=sink,
            stderr=sink,
            start_new_session=True,
        )
        os.close(sink)
        nodes.append((process, source))
        return Node(process, source)

    yield start
    for process, source in nodes:
        if process.poll() is None:
            process.kill()
            process.wait()
        os.close(source)


def test_without_a_terminal_there_are_log_lines_only(folder: Folder, start: Callable[..., Node]) -> None:
    """A container's log is read by machines: no line that redraws itself, no escape codes."""
    node = start("-p", "2")
    token = folder.rota("submit", "bake", PIZZA, "--app", "shop:app").out.strip()

    assert folder.rota("wait", token, "--timeout", "60", "--store", "shop.db").out == '"funghi for mitte"\n'
    assert node.end() == 0
    assert "\x1b" not in node.text
    assert "●" not in node.text
    for event in ("keeper.started", "supervisor.started", "worker.registered", "worker.ended", "keeper.ended"):
        assert event in node.text


def test_json_logs_are_json_from_the_first_line_to_the_last(start: Callable[..., Node]) -> None:
    """One parser reads all of it: keeper, supervisor, workers."""
    import json

    node = start("--log-format", "json")
    node.read_until(lambda text: "worker.registered" in text)

    assert node.end() == 0
    events = [json.loads(line)["event"] for line in node.text.splitlines()]
    assert (events[0], events[-1]) == ("keeper.started", "keeper.ended")


def test_on_a_terminal_one_line_tells_how_it_goes(folder: Folder, start: Callable[..., Node]) -> None:
    """Done, waiting, running, rate, workers; the log goes by above it."""
    node = start(on_terminal=True)
    node.read_until(lambda text: "1 worker" in text)
    for _ in range(3):
        assert folder.rota("submit", "bake", PIZZA, "--app", "shop:app").code == 0

    line = re.compile(r"● mitte · 3 done · 0 waiting · 0 running · [\d.]+/s · 1 worker")
    node.read_until(lambda text: line.search(plain(text)))

    assert node.end(signal.SIGINT) == 0, node.text
    assert re.search(r"worker\.registered +worker=mitte/1", node.text)
    assert "mitte: 3 done; 0 left." in node.text


def test_the_last_line_counts_what_was_given_back(folder: Folder, start: Callable[..., Node]) -> None:
    """A person reads it to know whether there is something to come back for."""
    with (folder.path / "shop.py").open("a") as app:
        app.write("\n\n@app.task\ndef rest() -> None:\n    import time\n\n    time.sleep(600)\n")
    node = start("--grace", "0", on_terminal=True)
    assert folder.rota("submit", "rest", "{}", "--app", "shop:app").code == 0
    node.read_until(lambda text: "1 running" in plain(text))

    assert node.end(signal.SIGINT) == 0, node.text
    assert "mitte: 0 done; 1 left." in node.text


def test_the_last_look_is_taken_when_the_node_has_ended(folder: Folder) -> None:
    """What the last worker gave back came after the look before, however often that is taken."""
    assert folder.rota("submit", "bake", PIZZA, "--app", "shop:app").code == 0
    tally, is_over = Tally(), threading.Event()
    is_over.set()

    count_until(is_over, Place(str(folder.path / "shop.db"), "the test"), tally)

    assert tally.now is not None
    assert tally.now.unfinished == 1


def test_only_the_queues_that_were_named_are_served(folder: Folder, start: Callable[..., Node]) -> None:
    """And one that no task names is noted: it may be misspelt."""
    node = start("-q", "letters", "-q", "letter")
    node.read_until(lambda text: "worker.registered" in text)

    letter = folder.rota("submit", "write", '{"to": "anna"}', "--app", "shop:app").out.strip()
    pizza = folder.rota("submit", "bake", PIZZA, "--app", "shop:app").out.strip()

    assert folder.rota("wait", letter, "--timeout", "60", "--store", "shop.db").out == "null\n"
    assert folder.rota("status", pizza, "--store", "shop.db").out == "waiting\n"
    assert "No worker serves queue 'default'" in folder.rota("job", pizza, "--store", "shop.db").out
    assert "note: no task of the app names the queue 'letter'. Did you mean 'letters'?" in node.text
    assert node.end() == 0


def test_a_failed_job_shows_the_handler_s_error(folder: Folder, start: Callable[..., Node]) -> None:
    """From the worker's exception to the exit code of whoever waited."""
    start()
    token = folder.rota("submit", "burn", "--app", "shop:app").out.strip()

    waited = folder.rota("wait", token, "--timeout", "60", "--store", "shop.db")

    assert waited.code == 1
    assert "ValueError: no oven" in waited.err
    story = folder.rota("job", token, "--store", "shop.db").out
    assert "attempt 1 failed on mitte/1" in story
    assert "failed for good on mitte/1 after 3 attempts: ValueError: no oven" in story
    assert 'raise ValueError("no oven")' in story


def test_health_says_whether_a_node_is_at_work(folder: Folder, start: Callable[..., Node]) -> None:
    """A probe must see that a process has ended, whatever the store still has on record."""
    node = start()
    node.read_until(lambda text: "worker.registered" in text)
    fine = folder.rota("health", "--store", "shop.db", "--json")
    other = folder.rota("health", "--store", "shop.db", "--node", "kreuzberg")
    meant = folder.rota("health", "--store", "shop.db", "--node", "mite")
    alive = folder.rota("workers", "--store", "shop.db", "--json").object["alive"]

    # The keeper is stopped first, so that it cannot start another supervisor. (The other way round, the kernel would wake the
    # stopped supervisor when its keeper dies, and it could drain.)
    started = re.search(r"supervisor\.started +node=mitte pid=(\d+)", node.text)
    assert started is not None
    node.process.send_signal(signal.SIGSTOP)
    os.kill(int(started[1]), signal.SIGKILL)
    node.process.kill()
    node.read_until(lambda _: False)

    assert (fine.code, fine.object["healthy"], fine.object["workers"], alive) == (0, True, 1, True)
    assert (other.code, meant.code, "no node 'mite' is there. Did you mean 'mitte'?" in meant.err) == (69, 69, True)
    dead = folder.rota("health", "--store", "shop.db")
    assert dead.code == 69
    assert "mitte has ended" in dead.err
    assert folder.rota("workers", "--store", "shop.db", "--json").object["alive"] is False
    (leases,) = [
        one for one in folder.rota("doctor", "--store", "shop.db", "--json").objects if one["check"] == "leases"
    ]
    assert (leases["level"], leases["says"]) == ("warning", "the process of mitte has ended")
    assert leases["advice"].endswith("rota run MODULE:APP")


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["run"], 2, "which app?"),
        (["run", "shpo:app"], 78, "did you mean 'shop'"),
        (["run", "shop:ap"], 78, "did you mean 'app'"),
        (["run", "shop:Order"], 78, "not a Rota"),
        (["run", "broken:app"], 78, "ZeroDivisionError"),
        (["run", "vanishing:app"], 78, "ended with code 9"),
        (["run", "crashing:app"], 78, "was ended by SIGSEGV"),
        (["run", "idle:app"], 78, "idle:app has no tasks"),
        (["run", "shop:app", "--store", "."], 78, "is a folder"),
        (["run", "shop:app", "--store", "/dev/null"], 78, "a device, a pipe or a socket, and a store is a file"),
        (["run", "shop:app", "--store", "nowhere/shop.db"], 69, "nowhere"),
        (["run", "shop:app", "--store", "postgresql://localhost:1/shop"], 69, "cannot be reached"),
        (["run", "shop:app", "--log-format", "xml"], 2, "lines or json"),
        (["run", "shop:app", "-p", "0"], 2, "'--processes' / '-p': '0' is not a whole number from 1 to 256"),
        (["run", "shop:app", "-c", "100000"], 2, "'100000' is not a whole number from 1 to 1,024"),
        (["run", "shop:app", "-c", "many"], 2, "'many' is not a whole number"),
        (["run", "shop:app", "--weight", "0"], 2, "'0' is not a whole number from 1 to 1,000"),
        (["run", "shop:app", "--name", ""], 2, "--name '': a name is needed"),
        (["run", "shop:app", "--name", "a/b"], 2, "Try: --name a-b"),
        (["run", "shop:app", "--name", "x" * 181], 2, "has 181 bytes; a name has at most 180"),
        (["run", "shop:app", "-q", ""], 2, "queue '': a name is needed"),
        (["run", "shop:app", "--grace", "soon"], 2, "'--grace': 'soon' is no duration"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_what_is_wrong_is_said_before_anything_is_started(
    folder: Folder, words: list[str], code: int, says: str
) -> None:
    """One sentence and an exit code; no traceback, no processes, no store."""
    (folder.path / "broken.py").write_text("from rota import Rota\napp = Rota()\n1 / 0\n")
    (folder.path / "vanishing.py").write_text("import os\nos._exit(9)\n")
    (folder.path / "crashing.py").write_text("import os\nos.kill(os.getpid(), 11)\n")
    (folder.path / "idle.py").write_text("from rota import Rota\napp = Rota('idle.db')\n")

    said = folder.rota(*words)

    assert said.code == code
    assert says in said.err
    assert "Traceback" not in said.err
    assert list(folder.path.glob("*.db")) == []
