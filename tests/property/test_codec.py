"""Whatever goes in comes out equal, or is refused before anything is stored."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from rota.errors import InvalidArgumentsError
from rota.model.codec import Codec


class Size(Enum):
    SMALL = "s"
    LARGE = "l"


@dataclass
class Line:
    pizza: str
    count: int
    price: Decimal
    size: Size


@dataclass
class Order:
    id: UUID
    at: datetime
    lines: list[Line]
    notes: dict[str, str | None]
    within: timedelta | None = None
    weights: tuple[float, ...] = ()


def bake(order: Order, n: int = 3, *, hot: bool = False, again: list[Order] | None = None) -> Order:
    return order


def keep(thing: Any) -> Any: ...


TEXTS = st.text(st.characters(codec="utf-8"))
LINES = st.builds(
    Line,
    pizza=TEXTS,
    count=st.integers(-(2**63), 2**64 - 1),
    price=st.decimals(allow_nan=False, allow_infinity=False),
    size=st.sampled_from(Size),
)
ORDERS = st.builds(
    Order,
    id=st.uuids(),
    at=st.datetimes(timezones=st.just(UTC)) | st.datetimes(),
    lines=st.lists(LINES, max_size=3),
    notes=st.dictionaries(TEXTS, st.none() | TEXTS, max_size=3),
    within=st.none() | st.timedeltas(timedelta(days=-9_999), timedelta(days=9_999)),
    weights=st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=3).map(tuple),
)
PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)
ANYTHING = st.recursive(
    PLAIN | st.floats() | st.binary() | st.datetimes() | st.uuids() | st.decimals() | st.sampled_from(Size),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(TEXTS | st.integers(), inner, max_size=3)
        | st.tuples(inner, inner)
    ),
    max_leaves=8,
)

BAKE = Codec(bake, "bake")
KEEP = Codec(keep, "keep")


@given(order=ORDERS, n=st.integers(-(2**53), 2**53), hot=st.booleans(), again=st.none() | st.lists(ORDERS, max_size=2))
def test_typed_arguments_come_out_equal(order: Order, n: int, hot: bool, again: list[Order] | None) -> None:
    """The handler must not be able to tell that it is not a plain call."""
    payload, call = BAKE.encode((order, n), {"hot": hot, "again": again})

    assert call == ((order, n), {"hot": hot, "again": again})
    assert BAKE.decode(payload) == call


@given(order=ORDERS, again=st.lists(ORDERS, max_size=2))
def test_what_a_call_wrote_may_be_given_as_text(order: Order, again: list[Order]) -> None:
    """The search for fields too many must not find any where there are none."""
    payload, call = BAKE.encode((order,), {"again": again})

    assert BAKE.encode_text(payload) == (payload, call)


@given(order=ORDERS)
def test_a_result_comes_out_equal(order: Order) -> None:
    """So must the caller who waits for the result."""
    assert BAKE.decode_result(BAKE.encode_result(order)) == order


@given(thing=PLAIN)
def test_plain_json_needs_no_annotation(thing: Any) -> None:
    """Everything that JSON has a word for passes."""
    payload, _ = KEEP.encode((thing,), {})

    assert KEEP.decode(payload) == ((thing,), {})
    assert KEEP.encode_text(payload) == (payload, ((thing,), {}))


@given(thing=ANYTHING)
def test_without_an_annotation_a_value_arrives_equal_or_is_refused(thing: Any) -> None:
    """Nothing may change on the way in silence; a tuple for a list is the one thing that JSON cannot tell apart."""
    try:
        payload, _ = KEEP.encode((thing,), {})
    except InvalidArgumentsError:
        return
    ((read,), _) = KEEP.decode(payload)

    assert same(thing, read)


@given(things=st.lists(ANYTHING, min_size=1, max_size=4))
def test_a_batch_is_written_as_its_jobs_one_by_one_or_not_at_all(things: list[Any]) -> None:
    """The quick way of a batch must let nothing through that a single job would be refused for."""
    together = KEEP.encode_singles(things)

    if together is not None:
        assert list(zip(*together, strict=True)) == [KEEP.encode_single(thing) for thing in things]


def same(given_value: Any, read: Any) -> bool:
    """Whether two values are equal, taking a tuple for a list."""
    if isinstance(given_value, (list, tuple)):
        return (
            isinstance(read, list)
            and len(read) == len(given_value)
            and all(same(*pair) for pair in zip(given_value, read, strict=True))
        )
    if isinstance(given_value, dict):
        return given_value.keys() == read.keys() and all(same(given_value[key], read[key]) for key in given_value)
    return bool(given_value == read) and not (isinstance(given_value, float) and math.isnan(given_value))
