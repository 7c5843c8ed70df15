"""One calm line under the log of ``rota run``, on a terminal.

    supervisor, workers ──their output──▶ a terminal of our own ──line by line──▶ the person's terminal
                                                                      the live line, redrawn 4 times a second

All processes of the node write to a pseudo terminal that is read here, so that their lines come above the live line and
never through it. It is a terminal and not a pipe for their sake: what they print appears at once, in colour, as it would
without us. The keeper stays on the main thread, since the kernel ties its children to the thread that started them; the
signals that it waits for are blocked before any other thread begins, or one of those could take them.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.live import Live
from rich.text import Text

from rota.cli.open import Place, open_at
from rota.cli.output import hint
from rota.cli.tally import Tally, count, line_of

REFRESH_S = 0.25
SHARE_OF_TIME = 20
"""Reading the counts of a huge store takes longer; then they are read less often, at most this part of the time."""

KEPT_FOR_THE_KEEPER = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)


def under_a_line(keep: Callable[[], int], place: Place, node: str) -> int:
    """Run ``keep`` with the live line under what it and its children print; return what it returns.

    Args:
        keep: The keeper's ``run``, which blocks until the node has ended.
        place: The store that is counted.
        node: The node's name, for the line.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, KEPT_FOR_THE_KEEPER)
    with contextlib.ExitStack() as stack:
        terminal = stack.enter_context(os.fdopen(os.dup(sys.stderr.fileno()), "w", encoding="utf-8"))
        tally, is_over = Tally(), threading.Event()
        console = Console(file=terminal, highlight=False)
        live = Live(
            get_renderable=lambda: _drawn(node, tally),
            console=console,
            refresh_per_second=1 / REFRESH_S,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        stack.enter_context(live)
        stack.enter_context(_lines_above(console))
        counter = threading.Thread(target=count_until, args=(is_over, place, tally), name="rota-live", daemon=True)
        counter.start()
        try:
            code = keep()
        finally:
            is_over.set()
            counter.join(2)
    if not counter.is_alive():
        _sum_up(node, tally)
    return code


def _sum_up(node: str, tally: Tally) -> None:
    """Leave the line's last numbers behind, since the line itself goes."""
    if tally.now is not None:
        failed = f", {tally.failed:,} of them failed" if tally.failed else ""
        hint(f"{node}: {tally.done:,} done{failed}; {tally.now.unfinished:,} left.")


def _drawn(node: str, tally: Tally) -> Text:
    text = Text(no_wrap=True, overflow="ellipsis")
    text.append("● ", "green" if tally.now is not None and tally.now.workers else "yellow")
    text.append(node, "bold")
    for words, style in line_of(tally):
        text.append(" · ", "dim")
        text.append(words, style)
    return text


@contextlib.contextmanager
def _lines_above(console: Console) -> Iterator[None]:
    """Send what is written to our terminal through a pseudo terminal, and print it line by line above the live line."""
    ours, theirs = os.openpty()
    _copy_size(sys.stderr.fileno(), theirs)
    kept = {number: os.dup(number) for number in (1, 2) if os.isatty(number)}
    sys.stdout.flush()
    for number in kept:
        os.dup2(theirs, number)
    os.close(theirs)
    reader = threading.Thread(target=_print_lines, args=(ours, console), name="rota-lines", daemon=True)
    reader.start()
    try:
        yield
    finally:
        sys.stdout.flush()
        for number, original in kept.items():
            os.dup2(original, number)
            os.close(original)
        # The end comes when the last process that has the pseudo terminal is gone; an orphan may keep it.
        reader.join(1)


def _print_lines(source: int, console: Console) -> None:
    rest = b""
    while True:
        try:
            data = os.read(source, 65_536)
        except OSError:
            # How Linux says that nobody has the other end any more.
            data = b""
        *lines, rest = (rest + data).split(b"\n")
        lines += [rest] if rest and not data else []
        if lines:
            # Of a progress bar that redraws itself, its last state is what counts.
            texts = [line.rstrip(b"\r").rpartition(b"\r")[2].decode(errors="replace") for line in lines]
            console.print(Text.from_ansi("\n".join(texts)), soft_wrap=True)
        if not data:
            os.close(source)
            return


def _copy_size(source: int, target: int) -> None:
    import fcntl
    import termios

    with contextlib.suppress(OSError):
        size = fcntl.ioctl(source, termios.TIOCGWINSZ, b"\0" * 8)
        fcntl.ioctl(target, termios.TIOCSWINSZ, size)


def count_until(is_over: threading.Event, place: Place, tally: Tally) -> None:
    """Keep the tally up to date. What goes wrong here must not disturb the node: the line just stands still."""
    with contextlib.suppress(Exception):
        asyncio.run(_counting(is_over, place, tally))


async def _counting(is_over: threading.Event, place: Place, tally: Tally) -> None:
    from rota.errors import StoreError

    loop = asyncio.get_running_loop()
    store = await open_at(place)
    try:
        is_last = False
        while not is_last:
            is_last = is_over.is_set()  # asked before the look: the last one begins when the node has ended
            began = loop.time()
            with contextlib.suppress(StoreError):
                tally.add(began, await count(store))
            took = loop.time() - began
            if not is_last:
                await asyncio.to_thread(is_over.wait, max(REFRESH_S, took * SHARE_OF_TIME))
    finally:
        await store.close()
