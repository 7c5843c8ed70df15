"""Time and chance come from `runtime` alone: this is what lets a whole cluster be replayed from a seed."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

import pytest

from tests.house.tree import SOURCE, nodes_of, told

FORBIDDEN_CALLS = {
    "time": {
        "time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns", "clock_gettime",
        "clock_gettime_ns", "process_time", "process_time_ns", "localtime", "gmtime",
    },
    "datetime": {"now", "utcnow", "today"},
    "date": {"today"},
    "os": {"urandom", "getrandom"},
    "uuid": {"uuid1", "uuid4", "uuid6", "uuid7"},
}  # fmt: skip
FORBIDDEN_MODULES = {"random", "secrets"}
FILES = sorted(file for file in SOURCE.rglob("*.py") if file.relative_to(SOURCE).parts[0] != "runtime")


def readings(nodes: Iterable[ast.AST]) -> Iterator[tuple[int, str]]:
    """Yield line and name of each reading of a clock and each drawing of chance."""
    for node in nodes:
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name | ast.Attribute):
            owner = node.value.id if isinstance(node.value, ast.Name) else node.value.attr
            if node.attr in FORBIDDEN_CALLS.get(owner, ()):
                yield node.lineno, f"{owner}.{node.attr}"
        elif isinstance(node, ast.Import):
            yield from ((node.lineno, name.name) for name in node.names if name.name in FORBIDDEN_MODULES)
        elif isinstance(node, ast.ImportFrom) and node.module:
            if node.module in FORBIDDEN_MODULES:
                yield node.lineno, node.module
            forbidden = FORBIDDEN_CALLS.get(node.module, set())
            yield from ((node.lineno, f"{node.module}.{name.name}") for name in node.names if name.name in forbidden)


def test_nothing_outside_of_runtime_reads_a_clock_or_draws_chance() -> None:
    """Ask the `Clock` or the `Entropy` that was handed in."""
    found = [f"{told(file)}:{line} {name}" for file in FILES for line, name in readings(nodes_of(file))]

    assert FILES
    assert not found, "; ".join(found)


@pytest.mark.parametrize(
    "planted",
    [
        "import time\ntime.monotonic()",
        "from time import time_ns",
        "import random",
        "from secrets import token_hex",
        "import datetime\ndatetime.datetime.now()",
        "import os\nkey = os.urandom(8)",
    ],
)
def test_a_planted_reading_is_found(planted: str) -> None:
    """A checker that cannot fail checks nothing."""
    assert list(readings(ast.walk(ast.parse(planted))))
