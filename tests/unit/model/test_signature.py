"""Which functions can be tasks, and how they are shown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import pytest

from rota.errors import TaskDefinitionError
from rota.model.codec import Codec
from rota.model.signature import refuse_unless_plain
from tests.unit.model.test_codec import Basket, Order, Size


def sums(*numbers: int) -> int:
    return sum(numbers)


def named(**options: int) -> None: ...


def counting() -> Iterator[int]:
    yield 1


async def counting_slowly() -> Any:
    yield 1


def streams(lines: Iterator[str]) -> None: ...


def two_shapes(order: Order | Basket) -> None: ...


def complex_result() -> complex:
    return 1j


def unresolved(order: NotThere) -> None: ...  # type: ignore[name-defined]  # noqa: F821


class Shop:
    def method(self) -> None: ...

    @staticmethod
    def static() -> None: ...


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (lambda order: None, "it is a lambda"),
        (Shop.method, "it is a method"),
        (Shop.static, "it is a method"),
        (Shop().method, "it is a method"),
        (Shop, "it is a class"),
        (len, "it is built in"),
        (counting, "it is a generator"),
        (counting_slowly, "it is a generator"),
        (Shop(), "a function is needed"),
    ],
)
def test_what_a_worker_could_not_find_is_refused(function: Any, says: str) -> None:
    """A worker imports the module and looks the function up by its name."""
    with pytest.raises(TaskDefinitionError) as caught:
        refuse_unless_plain(function)

    assert says in str(caught.value)


def test_a_function_inside_of_another_is_refused() -> None:
    """It exists only while the outer one runs."""

    def inner() -> None: ...

    with pytest.raises(TaskDefinitionError, match="inside of another function"):
        refuse_unless_plain(inner)


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (sums, r"takes \*numbers"),
        (named, r"takes \*\*options"),
        (streams, "parameter lines is annotated .*Iterator"),
        (two_shapes, "parameter order .* more than one dataclass"),
        (complex_result, "the return value is annotated complex"),
        (unresolved, "annotation cannot be resolved .*NotThere"),
    ],
)
def test_what_cannot_be_written_down_is_refused_at_definition(function: Any, says: str) -> None:
    """At import, and not at the thousandth job."""
    with pytest.raises(TaskDefinitionError, match=says):
        Codec(function, function.__name__)


def priced(prices: dict[int, Size], by: Literal["a.b"] = "a.b", *, order: Order | None = None) -> None: ...


def test_a_task_is_shown_as_its_source_is_written() -> None:
    """Module names make a line of types unreadable, and are not what its author has written."""
    assert str(Codec(priced, "priced").signature) == (
        "priced(prices: dict[int, Size], by: Literal['a.b'] = 'a.b', *, order: Order | None = None)"
    )
