"""Telemetry, its log lines and its JSON lines."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping
from typing import Any

from rota.model.token import token_from_text, token_text
from rota.telemetry.events import Level
from rota.telemetry.fields import plain
from rota.telemetry.json_lines import JsonLines
from rota.telemetry.lines import LogLines
from rota.telemetry.telemetry import Telemetry

TOKEN = token_from_text("0198c2f1-7b3a-7cc0-8000-3d2f5e6a7b8c")
NOW = 1_764_064_321_123_456


def now_us() -> int:
    return NOW


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no")


def test_without_sinks_events_are_counted() -> None:
    telemetry = Telemetry()

    telemetry.emit("job.stale", token=TOKEN, fence=3)
    telemetry.emit("job.stale", token=TOKEN, fence=4)
    telemetry.count("claims.own", 7)

    assert telemetry.counters == {"job.stale": 2, "claims.own": 7}


def test_every_sink_is_told_also_when_one_fails() -> None:
    """A full pipe must not stop a worker, nor silence the other sinks."""
    told: list[tuple[str, Mapping[str, Any]]] = []

    def broken(name: str, fields: Mapping[str, Any]) -> None:
        raise BrokenPipeError

    telemetry = Telemetry([broken, lambda name, fields: told.append((name, fields))])

    telemetry.emit("node.renamed", node="a-2", asked="a")

    assert told == [("node.renamed", {"node": "a-2", "asked": "a"})]
    assert telemetry.counters["telemetry.sink_failed"] == 1


def test_a_field_may_be_called_name_or_self() -> None:
    """Field names must not clash with the method's own parameters."""
    told: list[Mapping[str, Any]] = []
    telemetry = Telemetry([lambda _, fields: told.append(fields)])

    telemetry.emit("ring.changed", name="x")

    assert told == [{"name": "x"}]


def test_a_log_line_says_when_what_and_the_fields() -> None:
    stream = io.StringIO()

    LogLines(stream, now_us)("worker.registered", {"worker": "mitte/1", "pid": 7, "queues": ["a", "b"], "tasks": None})

    line = stream.getvalue()
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.123 info    worker\.registered +worker=mitte/1 pid=7 queues=a,b\n", line
    )


def test_a_warning_explains_itself() -> None:
    stream = io.StringIO()

    LogLines(stream, now_us)("job.stale", {"token": TOKEN, "fence": 3})

    assert f"token={token_text(TOKEN)} fence=3 · A result was refused" in stream.getvalue()


def test_a_log_line_stays_one_line() -> None:
    """User code's error messages have newlines, quotes and control characters; a log line has none."""
    stream = io.StringIO()

    LogLines(stream, now_us)("claim.unknown", {"error": ValueError('two\nlines "quoted"'), "queue": "a\x1b[31m\nb"})

    line = stream.getvalue()
    assert line.count("\n") == 1
    assert "\x1b" not in line
    assert "error=\"ValueError: two lines 'quoted'\"" in line


def test_a_time_limit_that_ran_out_is_told_as_that() -> None:
    """What asyncio raises has no message of its own, and `error=TimeoutError` leaves open whose."""
    assert plain(TimeoutError()) == "TimeoutError: no answer in time"
    assert plain(TimeoutError("after 3 s")) == "TimeoutError: after 3 s"


def test_events_below_the_level_are_left_out() -> None:
    stream = io.StringIO()
    sink = LogLines(stream, now_us, level=Level.WARNING)

    sink("worker.started", {"worker": "a/1"})
    sink("worker.died", {"worker": "a/1"})

    assert stream.getvalue().count("\n") == 1
    assert "worker.died" in stream.getvalue()


def test_a_json_line_is_one_object_with_time_level_and_event_first() -> None:
    stream = io.StringIO()

    JsonLines(stream, now_us)("job.retried", {"token": TOKEN, "error": KeyError("x"), "wait_s": 0.25, "event": "odd"})

    line = json.loads(stream.getvalue())
    assert list(line)[:3] == ["at", "level", "event"]
    assert line == {
        "at": "2025-11-25T09:52:01.123456Z",
        "level": "info",
        "event": "job.retried",
        "token": token_text(TOKEN),
        "error": "KeyError: 'x'",
        "wait_s": 0.25,
        "field_event": "odd",
    }


def test_json_lines_leave_out_what_is_below_their_level() -> None:
    stream = io.StringIO()

    JsonLines(stream, now_us, level=Level.ERROR)("job.stale", {"token": TOKEN})

    assert stream.getvalue() == ""


def test_values_of_any_kind_become_plain() -> None:
    """Whatever is handed to an emit, every sink can write it."""
    assert plain(b"\x01\x02") == "0102"
    assert plain(range(10)) == [0, 1, 2, 3, 4, 5, 6, 7, "… 10 in all"]
    assert plain({"only"}) == ["only"]
    assert plain(Unspeakable()) == "Unspeakable: (its message cannot be shown)"
    assert plain(ValueError()) == "ValueError"
    assert plain(1.23456789) == 1.234568
    assert plain(None) is None
    assert plain(object).startswith("<class")
