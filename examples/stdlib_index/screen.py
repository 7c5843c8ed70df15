"""Shows the demo on a terminal while it runs: progress, the ring, the workers. Without a terminal, a line at each event."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from examples.stdlib_index.watch import View
from rota.ring.ring import Ring

COLOURS = ("cyan", "magenta", "yellow", "green", "blue", "red")
RING_CELLS = 64


def colours(names: Sequence[str]) -> dict[str, str]:
    """Return a colour for each worker, by name; the same as long as the names are."""
    return {name: COLOURS[index % len(COLOURS)] for index, name in enumerate(sorted(names))}


def ring_strip(ring: Ring, palette: Mapping[str, str]) -> Text:
    """Return the ring unrolled: one cell for every sixteenth slot, in the colour of its owner."""
    strip = Text()
    step = max(1, len(ring.owners) // RING_CELLS)
    for owner in ring.owners[::step]:
        strip.append("▆", style=palette.get(owner, "white"))
    return strip or Text("nobody", style="dim")


class Screen:
    """A live view for as long as the ``with`` block lasts."""

    def __init__(self, console: Console, jobs: int) -> None:
        self._console = console
        self._jobs = jobs
        self._live = Live(console=console, refresh_per_second=10, transient=True) if console.is_terminal else None
        self._names: set[str] = set()

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    def say(self, text: str) -> None:
        """Print a line that stays."""
        self._console.print(text, highlight=False)

    def show(self, view: View, done_by: Counter[int], seconds: float) -> None:
        """Draw what is there now.

        Args:
            view: What the store says.
            done_by: Runs that each process has completed, by pid.
            seconds: Since the jobs were submitted.
        """
        if self._live:
            self._live.update(self._picture(view, done_by, seconds))

    def _picture(self, view: View, done_by: Counter[int], seconds: float) -> RenderableType:
        self._names |= set(view.pids)
        palette = colours(sorted(self._names))
        done = sum(done_by.values())
        workers = Table(box=None, padding=(0, 2), show_edge=False)
        for column in ("worker", "process", "slots", "jobs done"):
            workers.add_column(column, justify="left" if column == "worker" else "right", header_style="dim")
        shares = view.ring.shares()
        for name in sorted(self._names):
            pid = view.pids.get(name)
            state = str(pid) if pid else Text("gone", style="bold red")
            workers.add_row(
                Text(name, style=palette[name]), state, str(shares.get(name, 0)), str(done_by[pid] if pid else 0)
            )
        head = Table.grid(padding=(0, 2))
        head.add_row(
            ProgressBar(total=self._jobs, completed=min(done, self._jobs), width=40),
            f"{done:,} of {self._jobs:,} files",
            f"{done / seconds:,.0f}/s" if seconds > 0.5 else "",
        )
        ring = Text.assemble(("ring  ", "dim"), ring_strip(view.ring, palette), (f"  epoch {view.epoch}", "dim"))
        return Panel(
            Group(head, Text(), ring, Text(), workers),
            title="rota: indexing the standard library",
            width=min(100, self._console.width),
        )
