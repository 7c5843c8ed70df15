"""How the command line speaks: data to stdout, everything else to stderr.

Data is a table for people, or with ``--json`` one object a line for programs. A table on a terminal fits its width, by
leaving out the least important columns; in a pipe nothing is left out or cut. ``rich`` is loaded for tables only, so that
help and short answers stay fast.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TextIO

_CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "blue": "34", "cyan": "36"}

_INDENT = "  "
"""Before what does not fit beside the first column."""

STATE_STYLES = {
    "waiting": "",
    "scheduled": "blue",
    "running": "cyan",
    "succeeded": "green",
    "failed": "red",
    "cancelled": "yellow",
    "expired": "yellow",
}


@dataclass(frozen=True, slots=True)
class Cell:
    """A text with a style of its own."""

    text: str
    style: str = ""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    Attributes:
        title: Its head.
        rank: Columns with the highest rank are left out first when a terminal is too narrow; 0 is always shown.
        is_number: Set to the right.
        is_whole: Never cut, as a token must be: half of one is of no use.
    """

    title: str
    rank: int = 0
    is_number: bool = False
    is_whole: bool = False


def is_coloured(stream: TextIO) -> bool:
    """Whether colour is welcome there: a terminal, and neither ``NO_COLOR`` nor a dumb one."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def paint(text: str, style: str, stream: TextIO | None = None) -> str:
    """Return the text in this style (words such as ``"bold red"``), or as it is where colour is not welcome."""
    codes = ";".join(_CODES[word] for word in style.split())
    return f"\x1b[{codes}m{text}\x1b[0m" if codes and is_coloured(stream or sys.stdout) else text


def say(text: str, style: str = "", *, label: str = "", label_style: str = "") -> None:
    """Tell the person something that is not data; a terminal's lines end between words, not in a token or command."""
    wide = width_of(sys.stderr)
    lines = f"{label} {text}".lstrip().splitlines() if wide is None else _wrapped(f"{label} {text}".lstrip(), wide)
    body = "\n".join(lines)[len(label) :]
    painted = "\n".join(paint(line, style, sys.stderr) for line in body.splitlines()) if style else body
    print(paint(label, label_style, sys.stderr) + painted if label else painted, file=sys.stderr, flush=True)


_COMMAND = r"(?<=: )rota .*?(?=\. |$)|`[^`]+`"
"""What is there to be copied: what follows ``Wait for it:``, and what stands in backticks."""


def _wrapped(text: str, wide: int) -> list[str]:
    """Return the text's lines, ended between words. A command is one word: pasted from two lines it would be two."""
    import re
    from textwrap import wrap

    return [
        part.replace("\0", " ")
        for line in (
            re.sub(_COMMAND, lambda command: command[0].replace(" ", "\0"), whole) for whole in text.splitlines()
        )
        for part in wrap(line, wide, break_long_words=False, break_on_hyphens=False, drop_whitespace=True) or [""]
    ]


def hint(text: str) -> None:
    """Say what to do or type next."""
    say(text, "dim")


def fail(text: str, advice: str = "") -> None:
    """Say what went wrong, and below it what to do."""
    say(text, label="rota:", label_style="bold red")
    if advice:
        hint(advice)


def warn(text: str) -> None:
    """Say what may turn out to be wrong."""
    say(text, label="note:", label_style="yellow")


class OutputError(Exception):
    """What a command says cannot be written: a full disk behind ``>``."""


def put(text: str) -> None:
    """Write one line of data.

    Raises:
        OutputError: It cannot be written.
    """
    try:
        try:
            sys.stdout.write(text + "\n")
        except UnicodeEncodeError:  # a terminal or a pipe of another encoding, such as under LC_ALL=C
            coding = sys.stdout.encoding
            sys.stdout.write(text.encode(coding, "backslashreplace").decode(coding) + "\n")
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(error.strerror) from error


def put_json(thing: Any) -> None:
    """Write one object as one line of JSON."""
    is_wide = (sys.stdout.encoding or "utf8").lower().replace("-", "") == "utf8"
    put(json.dumps(thing, ensure_ascii=not is_wide, separators=(",", ":")))


def put_json_lines(things: Iterable[Any]) -> None:
    """Write a list, one object a line: a reader can stop anywhere, and the end of a cut list is plain."""
    for thing in things:
        put_json(thing)


def width_of(stream: TextIO) -> int | None:
    """Return the terminal's columns, or ``None`` for no terminal: nothing is cut then."""
    if not stream.isatty():
        return None
    columns = os.environ.get("COLUMNS", "")
    if columns.isdigit() and int(columns) > 0:
        return int(columns)
    return os.get_terminal_size(stream.fileno()).columns or 80


def put_table(columns: Sequence[Column], rows: Sequence[Sequence[str | Cell]]) -> None:
    """Write a table: no lines around it, so that it can be read, copied and cut by ``awk``.

    On a terminal that is too narrow for the columns that must be whole, the first stands on a line of its own.
    """
    from rich.cells import cell_len, set_cell_size

    cells = [[cell if isinstance(cell, Cell) else Cell(cell) for cell in row] for row in rows]
    widths = [
        max([cell_len(column.title), *(cell_len(row[at].text) for row in cells)]) for at, column in enumerate(columns)
    ]
    room = width_of(sys.stdout)
    shown = fit(columns, widths, room)
    lines = [("", shown)]
    if room is not None and len(shown) > 1 and sum(width for _, width in shown) + 2 * (len(shown) - 1) > room:
        rest = fit(columns[1:], widths[1:], room - len(_INDENT))
        lines = [("", [(0, widths[0])]), (_INDENT, [(at + 1, width) for at, width in rest])]

    def line(row: Sequence[Cell], indent: str, fitting: Sequence[tuple[int, int]]) -> str:
        parts = []
        for at, width in fitting:
            text = row[at].text
            if cell_len(text) > width:
                text = set_cell_size(text, max(width - 1, 0)) + "…"
            pad = " " * (width - cell_len(text))
            styled = paint(text, row[at].style)
            parts.append(pad + styled if columns[at].is_number else styled + pad)
        return (indent + "  ".join(parts)).rstrip()

    for row in [[Cell(column.title, "dim") for column in columns], *cells]:
        for indent, fitting in lines:
            put(line(row, indent, fitting))


def fit(columns: Sequence[Column], widths: Sequence[int], room: int | None) -> list[tuple[int, int]]:
    """Return which columns to show, as (index, width), so that they fit.

    The column of the highest rank is cut if 16 of it can stay, else left out, and so on; when only those of rank 0 are
    left, the widest that may be cut is cut, to no less than 8.
    """
    shown = dict(enumerate(widths))
    if room is None:
        return list(shown.items())

    def excess() -> int:
        return sum(shown.values()) + 2 * (len(shown) - 1) - room

    while excess() > 0 and any(columns[at].rank for at in shown):
        least = max(shown, key=lambda at: (columns[at].rank, at))
        if not columns[least].is_whole and shown[least] - excess() >= 16:
            shown[least] -= excess()
        else:
            del shown[least]
    while excess() > 0:
        soft = [at for at in shown if not columns[at].is_whole and shown[at] > 8]
        if not soft:
            break
        widest = max(soft, key=lambda at: shown[at])
        shown[widest] = max(8, shown[widest] - excess())
    return list(shown.items())


def put_facts(facts: Sequence[tuple[str, str | Cell]]) -> None:
    """Write names and values, one a line, values under each other."""
    wide = max((len(name) for name, _ in facts), default=0)
    for name, value in facts:
        cell = value if isinstance(value, Cell) else Cell(value)
        put_hanging(name.ljust(wide), cell)


def put_hanging(head: str, cell: Cell) -> None:
    """Write a head and a text; on a terminal the text's further lines begin under its first."""
    room = width_of(sys.stdout)
    indent = len(head) + 2
    lines = [cell.text] if room is None else _wrapped(cell.text, max(room - indent, 20)) or [""]
    put(f"{paint(head, 'dim')}  {paint(lines[0], cell.style)}".rstrip())
    for line in lines[1:]:
        put(" " * indent + paint(line, cell.style))


def state_cell(state: str) -> Cell:
    """Return a state in its colour."""
    return Cell(state, STATE_STYLES.get(state, ""))
