from __future__ import annotations

from msgspec.structs import replace

from rota.cli.change import last_change
from rota.store.port import DepartedRow, WorkerRow

S = 1_000_000


def there(name: str, since_s: float, queues: tuple[str, ...] = ("default",)) -> WorkerRow:
    return WorkerRow(
        id=1,
        node_id=1,
        name=name,
        proof="",
        queues=queues,
        tasks=("bake",),
        weight=1,
        is_alone=False,
        is_draining=False,
        pid=1,
        registered_at=int(since_s * S),
        held=0,
    )


def gone(name: str, since_s: float, until_s: float, *, is_alone: bool = False) -> DepartedRow:
    return DepartedRow(1, name, ("default",), 1, is_alone, int(since_s * S), int(until_s * S))


def test_a_node_that_starts_three_processes_is_one_change() -> None:
    """They come within a second; nobody wants to read of the last one alone."""
    change = last_change("default", [there("old/1", 1)] + [there(f"mitte/{n}", 100 + n / 4) for n in (1, 2, 3)], [])

    assert change is not None
    assert change.joined == ("mitte/1", "mitte/2", "mitte/3")
    assert change.sentence == "mitte/1, mitte/2 and mitte/3 joined"
    assert [one.name for one in change.before.members] == ["old/1"]
    assert len(change.after.members) == 4


def test_a_worker_that_left_is_named() -> None:
    """Its slots went to the others; that is the reason of their moves."""
    change = last_change("default", [there("a/1", 1)], [gone("b/1", 1, 60)])

    assert change is not None
    assert (change.at, change.left, change.joined) == (60 * S, ("b/1",), ())
    assert [one.name for one in change.before.members] == ["a/1", "b/1"]
    assert change.sentence == "b/1 left"


def test_a_crashed_process_that_came_back_moved_nothing() -> None:
    """It takes the same place on the ring."""
    change = last_change("default", [there("a/1", 1), there("b/1", 60.3)], [gone("b/1", 1, 60)])

    assert change is not None
    assert change.replaced == ("b/1",)
    assert change.before.moved_to(change.after) == ()
    assert change.sentence == "b/1 ended and came back"


def test_processes_that_came_back_together_are_one_sentence() -> None:
    """It is read in a hurry, after a crash."""
    back = [there("b/1", 60.3), there("b/2", 60.4)]
    change = last_change("default", [there("a/1", 1), *back], [gone("b/1", 1, 60), gone("b/2", 1, 60)])

    assert change is not None
    assert change.sentence == "b/1 and b/2 ended and came back"


def test_a_worker_that_drains_is_the_change() -> None:
    """It is out of the ring already, and still there."""
    change = last_change("default", [there("a/1", 1), replace(there("b/1", 1), is_draining=True)], [])

    assert change is not None
    assert (change.at, change.left, change.sentence) == (None, ("b/1",), "b/1 drains")
    assert [one.name for one in change.after.members] == ["a/1"]


def test_other_queues_and_those_who_run_one_alone_do_not_count() -> None:
    """They are not in this ring."""
    change = last_change("default", [there("a/1", 1), there("m/1", 90, ("mail",))], [gone("x", 70, 80, is_alone=True)])

    assert change is not None
    assert change.at == 1 * S
    assert last_change("reports", [there("a/1", 1)], []) is None
