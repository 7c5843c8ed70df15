from __future__ import annotations

import contextlib
import io

import pytest

from rota.cli.jobs import COLUMNS as JOB_COLUMNS
from rota.cli.output import (
    Cell,
    Column,
    OutputError,
    fit,
    hint,
    paint,
    put,
    put_facts,
    put_json,
    put_json_lines,
    put_table,
    warn,
)

TOKEN = Column("TOKEN", is_whole=True)
COLUMNS = (TOKEN, Column("TASK"), Column("WHAT", rank=1), Column("WORKER", rank=2))


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_in_a_pipe_nothing_is_left_out() -> None:
    """`rota jobs | grep` must find what is there."""
    assert fit(COLUMNS, [36, 200, 300, 50], None) == [(0, 36), (1, 200), (2, 300), (3, 50)]


def test_the_least_important_column_goes_first() -> None:
    """On 80 columns the token and the task count more than the worker."""
    assert fit(COLUMNS, [36, 10, 20, 10], 72) == [(0, 36), (1, 10), (2, 20)]


def test_a_long_column_is_cut_before_it_is_left_out() -> None:
    """Sixteen letters of an error are worth more than none."""
    assert fit(COLUMNS, [36, 10, 90, 0], 80) == [(0, 36), (1, 10), (2, 30)]


def test_a_token_is_never_cut() -> None:
    """Half of one is of no use."""
    assert fit(COLUMNS, [36, 60, 20, 10], 50) == [(0, 36), (1, 12)]
    assert fit((TOKEN,), [36], 10) == [(0, 36)]


@pytest.mark.parametrize("room", [36, 40, 50, 56])
def test_on_a_narrow_terminal_a_job_takes_two_lines(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], room: int
) -> None:
    """A token stays whole to be copied, no line is broken by the terminal, and what belongs together stands together."""
    monkeypatch.setattr("rota.cli.output.width_of", lambda _: room)
    token = "01a21261-8304-731c-96a7-0ea0f796c967"
    cells = {"TOKEN": token, "STATE": "scheduled", "TASK": "bake_all", "KEY": "mitte", "AGE": "3 min"}

    put_table(JOB_COLUMNS, [[cells.get(column.title, "") for column in JOB_COLUMNS]] * 2)

    lines = capsys.readouterr().out.splitlines()
    assert (lines[0], lines[2], lines[4]) == ("TOKEN", token, token)
    assert lines[1].startswith("  STATE      TASK      KEY")
    assert lines[3].startswith("  scheduled  bake_all  mitte")
    assert lines[3] == lines[5]
    assert max(map(len, lines)) <= room


def test_a_terminal_that_is_wide_enough_gets_a_line_a_job(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two lines are for those who have no room."""
    monkeypatch.setattr("rota.cli.output.width_of", lambda _: 57)

    put_table(JOB_COLUMNS, [["0" * 36, "scheduled", "bake_all_of_it", *[""] * (len(JOB_COLUMNS) - 3)]])

    assert capsys.readouterr().out.splitlines()[1] == f"{'0' * 36}  scheduled  bake_al…"


def test_a_table_in_a_pipe_is_aligned_and_plain(capsys: pytest.CaptureFixture[str]) -> None:
    """Wide letters take two places; no line ends in blanks."""
    columns = (Column("KEY"), Column("N", is_number=True), Column("STATE"))
    put_table(columns, [["日本", "7", Cell("failed", "red")], ["mitte", "1,200", ""]])

    assert capsys.readouterr().out.splitlines() == [
        "KEY        N  STATE",
        "日本       7  failed",
        "mitte  1,200",
    ]


def test_lists_are_one_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    """A reader can begin before the list has ended."""
    put_json_lines([{"a": 1}, {"ü": None}])

    assert capsys.readouterr().out == '{"a":1}\n{"ü":null}\n'


def test_what_an_encoding_lacks_is_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Under LC_ALL=C a key with an umlaut must not end the command; JSON stays JSON."""
    written = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(written, encoding="ascii", write_through=True))

    put("münchen")
    put_json({"key": "münchen"})

    assert written.getvalue() == b'm\\xfcnchen\n{"key":"m\\u00fcnchen"}\n'


@pytest.mark.parametrize("text", ["oven", "öfen"])
def test_a_full_disk_is_told_in_any_encoding(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Else the command would call it a fault of its own."""
    with open("/dev/full", "w", encoding="ascii", buffering=1) as full:
        monkeypatch.setattr("sys.stdout", full)

        with pytest.raises(OutputError, match="No space left"):
            put(text)

        with contextlib.suppress(OSError):
            full.close()


def test_facts_stand_under_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    """The eye finds the value without reading the names."""
    put_facts([("queue", "default"), ("key", Cell("mitte", "bold"))])

    assert capsys.readouterr().out == "queue  default\nkey    mitte\n"


@pytest.mark.parametrize("wide", [20, 40, 80])
def test_a_command_to_copy_is_never_broken_by_us(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], wide: int
) -> None:
    """A terminal that breaks a long line copies it as one; a line that we end is pasted as two commands."""
    monkeypatch.setattr("rota.cli.output.width_of", lambda _: wide)
    more = "rota jobs --task bake --store 'my shop.db' --before 01a21261-8304-731c-96a7-0ea0f796c967"

    hint(f"More: {more}")
    warn(f"no worker or job knows a task 'bkae'. If so: {more}")
    hint("Why they failed: rota job TOKEN. Put one back: rota retry TOKEN.")
    put_facts([("why", "No worker is running; `rota run MODULE:APP -q letters` starts some.")])

    told = capsys.readouterr()
    says, facts = told.err.splitlines(), told.out.splitlines()
    assert says[:2] == ["More:", more]
    assert [line for line in says if line.endswith(more)] == [more, more]
    assert "rota job TOKEN" in told.err
    assert "rota retry TOKEN." in told.err
    assert any("`rota run MODULE:APP -q letters`" in line for line in facts)
    assert "\0" not in told.err + told.out
    assert all(len(line) <= max(wide, 25) for line in says if more not in line)


def test_colour_is_for_terminals_that_want_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """NO_COLOR is a promise to people who cannot read colours."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")

    assert paint("x", "bold red", Terminal()) == "\x1b[1;31mx\x1b[0m"
    assert paint("x", "red", io.StringIO()) == "x"
    monkeypatch.setenv("NO_COLOR", "1")
    assert paint("x", "red", Terminal()) == "x"
