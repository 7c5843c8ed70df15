"""The story of the demo: start a node, submit a job for each file, kill a worker, wait, drain, compare, report.

make demo                    or            python -m examples.stdlib_index [--limit N] [--folder demo-out]
make demo ENGINE=postgres    the same on PostgreSQL: on the server of ROTA_STORE, else on one that it starts itself
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from examples.stdlib_index import logbook
from examples.stdlib_index.facts import SourceFile, facts_of, library_files
from examples.stdlib_index.logbook import Entry, Logbook
from examples.stdlib_index.node import Node
from examples.stdlib_index.place import ENGINES, place_for
from examples.stdlib_index.report import Kill, Story, print_report
from examples.stdlib_index.screen import Screen
from examples.stdlib_index.verdict import Crash, judge
from examples.stdlib_index.watch import View, Watch
from rota.ring.ring import Ring

APP = "examples.stdlib_index.tasks:app"
PROCESSES = 3
CONCURRENCY = 2
KILL_AT = 0.4
LOOK_S = 0.1
DEEP_S = 0.003
GIVE_UP_S = 120.0

Condition = Callable[[View], bool]


class Demo:
    """One run of the demo, in a folder of its own."""

    def __init__(self, url: str, folder: Path, files: list[SourceFile], console: Console) -> None:
        self.files = files
        self.console = console
        self.url = url
        self.book = Logbook(folder / "runs.log")
        self.screen = Screen(console, len(files))
        self.node_log = folder / "node.log"
        self.submitted_at = 0.0

    async def run(self) -> Story:
        """Do all of it."""
        from examples.stdlib_index.tasks import app, index  # only now: the app reads ROTA_STORE

        watch = await Watch.open(self.url)
        node = Node(APP, processes=PROCESSES, concurrency=CONCURRENCY, log=self.node_log)
        with node, self.screen:
            await self.until(watch, node, lambda view: len(view.pids) == PROCESSES)
            self.submitted_at = time.monotonic()
            tokens = await index.submit_many_async(self.files)  # one commit: from here on nothing is lost
            self.screen.say(f"{len(tokens):,} jobs on disk after {time.monotonic() - self.submitted_at:.2f} s")
            kill, crash = await self.kill_one(watch, node)
            await self.until(watch, node, lambda view: view.unfinished == 0)
            seconds = time.monotonic() - self.submitted_at
            self.screen.say("all jobs are settled; SIGTERM to the node")
            code = await asyncio.to_thread(node.drain)

        results = [await token.result_async(timeout=5) for token in tokens]
        self.console.print("the same in a plain loop, to compare")
        is_equal = results == [facts_of(file) for file in self.files]
        texts = [str(token) for token in tokens]
        fences = {text: fence for text in texts if (fence := await watch.recorded_fence(text)) is not None}
        kill.moved.extend(await watch.taken_from_the_dead(texts))
        await watch.close()
        await app.close_async()
        verdict = judge(self.book.read(), dict(zip(texts, self.files, strict=True)), fences, crash)
        self.book.close()
        return Story(len(tokens), seconds, kill, verdict, is_equal, code == 0)

    async def kill_one(self, watch: Watch, node: Node) -> tuple[Kill, Crash]:
        """Wait until the work is in full swing, then ``kill -9`` a worker that is in the middle of a job."""
        enough = int(len(self.files) * KILL_AT)
        view = await self.until(watch, node, lambda _: sum(self.done_by().values()) >= enough)
        held = await watch.held()
        name = await self.busiest(view)
        pid = view.pids[name]
        names = {its_pid: its_name for its_name, its_pid in view.pids.items()}
        held |= {entry.token: names[entry.pid] for entry in self.open_runs() if entry.pid in names}
        crash = Crash(pid, time.monotonic())
        os.kill(pid, signal.SIGKILL)
        was_at_work = any(entry.pid == pid for entry in self.open_runs())
        self.screen.say(f"kill -9 {pid}: {name} is gone" + (", in the middle of its work" if was_at_work else ""))
        after = await self.until(watch, node, lambda seen: seen.pids.get(name, pid) != pid)
        self.screen.say(
            f"process {after.pids[name]} has taken the place of {name}, {time.monotonic() - crash.at:.2f} s later"
        )
        others = Ring.of(member for member in view.ring.members if member.name != name)
        done = sum(entry.what == "end" and entry.at <= crash.at for entry in self.book.read())
        return Kill(name, pid, done, held, [], view.ring, others), crash

    async def until(self, watch: Watch, node: Node, is_so: Condition) -> View:
        """Look, and show what is seen, until it is so."""
        give_up_at = time.monotonic() + GIVE_UP_S
        while True:
            view = await watch.look()
            self.screen.show(view, self.done_by(), time.monotonic() - (self.submitted_at or time.monotonic()))
            if is_so(view):
                return view
            if not node.is_running or time.monotonic() > give_up_at:
                raise SystemExit(f"The node ended, or did not come to it in time. Its last words:\n{node.last_lines()}")
            await asyncio.sleep(LOOK_S)

    async def busiest(self, view: View) -> str:
        """Return the worker that is deepest in a job, as soon as one has been at it for a few milliseconds.

        Any, if all is done: on a busy machine this process may look too late.
        """
        names = {pid: name for name, pid in view.pids.items()}
        while sum(self.done_by().values()) < len(self.files):
            since = {entry.token: entry for entry in self.open_runs() if entry.pid in names}
            first = min(since.values(), key=lambda entry: entry.at, default=None)
            if first is not None and time.monotonic() - first.at > DEEP_S:
                return names[first.pid]
            await asyncio.sleep(0.001)
        return min(view.pids)

    def done_by(self) -> Counter[int]:
        """Return how many runs each process has completed."""
        return Counter(entry.pid for entry in self.book.read() if entry.what == "end")

    def open_runs(self) -> list[Entry]:
        """Return the start lines that have no end line yet."""
        running: dict[tuple[str, int], Entry] = {}
        for entry in self.book.read():
            if entry.what == "start":
                running[entry.token, entry.fence] = entry
            else:
                running.pop((entry.token, entry.fence), None)
        return list(running.values())


def main() -> int:
    """Run the demo; return 0 only if everything that the report says is good."""
    parser = argparse.ArgumentParser(prog="python -m examples.stdlib_index", description=__doc__)
    parser.add_argument("--limit", type=int, default=None, help="index about so many files instead of all")
    parser.add_argument("--folder", type=Path, default=Path("demo-out"), help="where store and logs go; emptied first")
    options = parser.parse_args()
    engine = os.environ.get("ENGINE") or "sqlite"
    if engine not in ENGINES:
        parser.error(f"ENGINE={engine}: it is {' or '.join(ENGINES)}")
    folder = options.folder.absolute()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    os.environ[logbook.VARIABLE] = str(folder / "runs.log")

    console = Console(width=None if sys.stdout.isatty() else 100)
    files = library_files(options.limit)
    console.print(
        f"Indexing {len(files):,} files of Python {sys.version.split()[0]}'s standard library", highlight=False
    )
    with place_for(engine, folder, console) as url:
        story = asyncio.run(Demo(url, folder, files, console).run())
    print_report(console, story)
    console.print("[green]good[/]" if story.is_good else f"[bold red]not good[/]: see {folder}")
    return 0 if story.is_good else 1


if __name__ == "__main__":
    sys.exit(main())
