"""What the source tree emits and counts is what the list of events says."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import rota
from rota.telemetry.events import COUNTERS, EVENTS, FIELDS

SOURCE = Path(rota.__file__).parent if rota.__file__ else Path(rota.__path__[0])


def _receiver(call: ast.Call) -> str:
    """Return the last word of what the method is called on: ``telemetry`` for ``self._telemetry.emit(…)``."""
    owner = call.func.value if isinstance(call.func, ast.Attribute) else call.func
    word = owner.attr if isinstance(owner, ast.Attribute) else owner.id if isinstance(owner, ast.Name) else ""
    return word.lstrip("_")


def _names(node: ast.expr, tree: ast.Module) -> list[str | None]:
    """Return the names that an argument can have; ``None`` for one that cannot be read from this source.

    A variable has whatever is assigned to one of its name, or given for a parameter of its name, anywhere in the file.
    """
    if isinstance(node, ast.IfExp):
        return [*_names(node.body, tree), *_names(node.orelse, tree)]
    if isinstance(node, ast.Name):
        given = [*_assigned(node.id, tree), *_passed(node.id, tree)]
        return [name for value in given if not isinstance(value, ast.Name) for name in _names(value, tree)] or [None]
    return [node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None]


def _assigned(name: str, tree: ast.Module) -> Iterator[ast.expr]:
    """Yield what is assigned to a variable."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and any(isinstance(to, ast.Name) and to.id == name for to in node.targets):
            yield node.value


def _passed(name: str, tree: ast.Module) -> Iterator[ast.expr]:
    """Yield what is given, by position, to functions of this file for a parameter."""
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        places = [parameter.arg for parameter in function.args.args if parameter.arg != "self"]
        for call in ast.walk(tree):
            if name in places and isinstance(call, ast.Call) and _called(call) == function.name:
                yield from call.args[places.index(name) :][:1]


def _called(call: ast.Call) -> str:
    """Return the last word of what is called."""
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def faults(source: str, where: str) -> Iterator[str]:
    """Yield a sentence for every emit or count in this source that is not in the list."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Attribute) and node.value.attr == "counters":
            for name in _names(node.slice, tree):
                if name not in COUNTERS and name not in EVENTS:
                    yield f"{where}:{node.lineno}: counter {name!r} is not in COUNTERS"
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args):
            continue
        if _receiver(node) != "telemetry" or node.func.attr not in ("emit", "count"):
            continue
        listed = EVENTS if node.func.attr == "emit" else COUNTERS
        for name in _names(node.args[0], tree):
            if name not in listed:
                yield f"{where}:{node.lineno}: {node.func.attr}({name!r}) is not in the list"
            elif name is not None and name in EVENTS:
                given = {keyword.arg for keyword in node.keywords if keyword.arg is not None}
                for extra in sorted(given - set(EVENTS[name].fields)):
                    yield f"{where}:{node.lineno}: {name} has no field {extra!r}"


def test_every_emit_and_count_is_in_the_list() -> None:
    """Somebody who builds an alarm on an event reads the list, and nothing else."""
    found = [
        fault
        for path in sorted(SOURCE.rglob("*.py"))
        if path.parent.name != "telemetry"
        for fault in faults(path.read_text(encoding="utf-8"), str(path.relative_to(SOURCE)))
    ]

    assert not found, "\n".join(found)


def test_everything_in_the_list_is_told_or_counted_somewhere() -> None:
    """An alarm on an event that nobody emits is silent for ever."""
    said = {
        node.value
        for path in SOURCE.rglob("*.py")
        if path.name != "events.py"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }

    assert sorted({*EVENTS, *COUNTERS} - said) == []


@pytest.mark.parametrize(
    "planted",
    [
        'telemetry.emit("job.mislaid", token=token)',
        'self._telemetry.emit("job.stale", colour="red")',
        "self.telemetry.emit(name)",
        'name = "job.stale" if late else "job.mislaid"\ntelemetry.emit(name, token=token)',
        'def tell(name):\n telemetry.count(name)\ntell("claims.imagined")',
        'telemetry.emit("job.stale" if late else "job.mislaid", token=token)',
        'telemetry.count("claims.imagined", 3)',
        'telemetry.counters["claims.imagined"] += 1',
    ],
)
def test_a_planted_fault_is_found(planted: str) -> None:
    """A check that cannot fail proves nothing."""
    assert list(faults(planted, "planted.py"))


def test_an_emit_as_listed_is_no_fault() -> None:
    good = 'self._telemetry.emit("job.stale", token=token, fence=3)\ntelemetry.count("claims.own", 7)\ntext.count("x")'
    good += '\ndef tell(name):\n telemetry.count(name)\ntell("claims.own")'

    assert list(faults(good, "good.py")) == []


def test_every_field_says_its_unit_and_every_unit_is_used() -> None:
    """A field means the same in every event."""
    used = {field for event in EVENTS.values() for field in event.fields}

    assert used == set(FIELDS)


def test_names_are_noun_and_verb_and_events_are_no_counters() -> None:
    """An event is counted under its own name; a counter of the same name would count twice."""
    assert all(name.count(".") == 1 and name == name.lower() for name in [*EVENTS, *COUNTERS])
    assert not set(EVENTS) & set(COUNTERS)


def test_every_sentence_is_one() -> None:
    assert all(event.sentence[0].isupper() and event.sentence[-1] in ".`" for event in EVENTS.values())
