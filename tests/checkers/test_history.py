"""The file that evidence is kept in: whole, in order, from many processes, also from killed ones."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import msgspec
import pytest

from tests.checkers.history import AnyEvent, Ended, Recorder, Started, Submitting, in_order, read_history


def _write(path: Path, worker: int) -> None:
    recorder = Recorder(path)
    for number in range(200):
        recorder.saw(Started(at=number, token=f"{worker}-{number}", fence=1, worker=str(worker)))


def test_events_come_back_as_they_were_seen(tmp_path: Path) -> None:
    """What a checker reads must be what was written."""
    events: list[AnyEvent] = [
        Submitting(at=1, token="a", queue="ovens", key="k\n\N{SNOWMAN}", batch="x", index=3, is_delayed=True),
        Ended(at=2, token="a", fence=7),
    ]
    recorder = Recorder(tmp_path / "history")
    for event in events:
        recorder.saw(event)
    recorder.close()
    recorder.close()

    assert read_history(tmp_path / "history") == events


def test_many_processes_write_one_file(tmp_path: Path) -> None:
    """Lines must neither mix nor overwrite each other."""
    start = multiprocessing.get_context("spawn").Process
    writers = [start(target=_write, args=(tmp_path / "history", number)) for number in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()

    events = read_history(tmp_path / "history")

    assert len(events) == 400
    assert [event.at for event in events] == sorted(event.at for event in events)


def test_a_torn_last_line_is_dropped(tmp_path: Path) -> None:
    """The process was killed in the middle of it: it has seen nothing to the end."""
    path = tmp_path / "history"
    recorder = Recorder(path)
    recorder.saw(Ended(at=1, token="a", fence=1))
    recorder.close()
    with path.open("ab") as torn:
        torn.write(b'{"what":"ended","at":2,"tok')

    assert read_history(path) == [Ended(at=1, token="a", fence=1)]


def test_a_damaged_history_is_no_evidence(tmp_path: Path) -> None:
    """Skipping what cannot be read could skip the violation."""
    (tmp_path / "history").write_bytes(b'{"what":"nonsense"}\n{"what":"ended","at":1,"token":"a","fence":1}\n')

    with pytest.raises(msgspec.DecodeError):
        read_history(tmp_path / "history")


def test_events_of_one_instant_stay_as_written() -> None:
    """A begin and an end at the same tick are still a begin and then an end."""
    events: list[AnyEvent] = [
        Started(at=5, token="a", fence=1, worker="w"),
        Ended(at=5, token="a", fence=1),
        Ended(at=1, token="b", fence=1),
    ]

    assert in_order(events) == [events[2], events[0], events[1]]
