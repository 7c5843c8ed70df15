"""What a wrong argument does, and what a right one becomes."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path, PurePosixPath
from typing import Any, NotRequired, TypedDict, cast
from uuid import UUID

import attrs
import msgspec
import pydantic
import pytest

from rota.errors import InvalidArgumentsError, LimitError, RotaError
from rota.model.codec import Codec
from rota.model.retry import Fail, Snooze


@dataclass
class Order:
    store: str
    pizza: str


@dataclass
class LargeOrder(Order):
    guests: int = 40


@dataclass
class Basket:
    orders: list[Order]
    at: datetime
    price: Decimal
    id: UUID
    by: Order | None = None
    tags: set[str] = field(default_factory=set)


@attrs.define
class Crate:
    weight: float


class Box(msgspec.Struct):
    crates: list[Crate]


class Address(TypedDict):
    street: str
    floor: NotRequired[int]


class Size(enum.Enum):
    SMALL = "s"
    LARGE = "l"


class Guest(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(strict=True)
    name: str
    since: date


def bake(order: Order) -> str:
    return order.pizza


def everything(
    basket: Basket,
    box: Box,
    address: Address,
    size: Size,
    guests: list[Guest],
    file: Path,
    wait: timedelta,
    by_id: dict[int, str],
) -> None: ...


def mixed(order: Order, n: int = 3, /, note: str | None = None, *, hot: bool, when: datetime | None = None) -> int:
    return n


def untyped(thing, other=None): ...  # type: ignore[no-untyped-def]


def poll(at: datetime) -> Order | Snooze | None:
    return None


def numbers(a: int, b: float, c: Decimal) -> None: ...


MITTE = Order("mitte", "funghi")


def refusal(codec: Codec, *args: Any, **kwargs: Any) -> RotaError:
    """Return the error that a call is refused with."""
    with pytest.raises((InvalidArgumentsError, LimitError)) as caught:
        codec.encode(args, kwargs)
    return caught.value


def round_trip(codec: Codec, *args: Any, **kwargs: Any) -> Any:
    """Return the arguments as the handler gets them."""
    payload, call = codec.encode(args, kwargs)
    assert codec.decode(payload) == call
    return call


def test_a_wrong_field_is_named_by_its_path() -> None:
    """The first thing to know about a refused job is which value to mend."""
    error = refusal(Codec(bake, "bake"), Order(5, "funghi"))  # type: ignore[arg-type]

    assert "Expected str, got int - at $.order.store" in str(error)
    assert "Nothing was written" in str(error)
    assert error.facts["argument"] == "order"
    assert error.facts["path"] == "$.order.store"


@pytest.mark.parametrize(
    ("args", "kwargs", "says"),
    [
        ((), {}, "missing 1 argument: order"),
        ((MITTE, MITTE), {}, "takes 1 positional argument, got 2"),
        ((), {"ordr": MITTE}, "no parameter 'ordr' (did you mean 'order'?)"),
        ((MITTE,), {"order": MITTE}, "got 'order' twice"),
        ((None,), {}, "Expected object, got null - at $.order"),
        (("mitte",), {}, "Expected object, got str - at $.order"),
        (([MITTE],), {}, "Expected object, got array - at $.order"),
        (({"store": "mitte"},), {}, "missing required field pizza - at $.order"),
        (({"store": "mitte", "pizza": "funghi", "size": 3},), {}, "unknown field size - at $.order"),
        ((object(),), {}, "argument order: <object object"),
        ((LargeOrder("mitte", "funghi"),), {}, "Expected Order, got LargeOrder - at $.order"),
        ((Order(cast(str, b"mitte"), "funghi"),), {}, "Expected str, got bytes - at $.order.store"),
        ((Order("mitte", "\ud800"),), {}, "surrogates not allowed"),
    ],
)
def test_what_does_not_fit_the_function_is_refused(args: Any, kwargs: Any, says: str) -> None:
    """Whatever a worker could not run must fail where the mistake was made."""
    assert says in str(refusal(Codec(bake, "bake"), *args, **kwargs))


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (float("nan"), "nan would arrive as None - at $.thing"),
        ([1, float("inf")], "inf would arrive as None - at $.thing[1]"),
        (datetime(2026, 1, 1), "Expected str, got datetime - at $.thing"),
        ({"a": {"b": b"x"}}, "Expected str, got bytes - at $.thing.a.b"),
        ({1: "one"}, "Expected str keys, got int (1) - at $.thing"),
        (MITTE, "Expected dict, got Order - at $.thing"),
        (lambda: None, "cannot be written as JSON: there is no form for function"),
    ],
)
def test_without_an_annotation_only_plain_json_goes_in(value: Any, says: str) -> None:
    """A date that silently became text would surprise the handler; the annotation is what makes it a date again."""
    error = refusal(Codec(untyped, "untyped"), value)

    assert says in str(error)
    if "JSON" not in says:
        assert "annotate it" in str(error)


def test_a_wrong_key_is_named_by_its_argument() -> None:
    """The path leads to the dict, since a key has no place of its own."""
    error = refusal(Codec(priced, "priced"), {"one": Size.SMALL})

    assert "Expected int, got str - at key in $.prices (argument prices is {'one': " in str(error)
    assert (error.facts["argument"], error.facts["path"]) == ("prices", "$.prices")


def priced(prices: dict[int, Size]) -> None: ...


def test_in_a_large_argument_the_wrong_part_is_shown() -> None:
    """The beginning of a long order says nothing about its third line."""
    rows = [Order("mitte", "funghi" * 20), Order("nord", cast(str, 31_415))]
    basket = Basket(rows, datetime(2026, 1, 1, tzinfo=UTC), Decimal(1), UUID(int=7))

    error = refusal(Codec(shop, "shop"), basket)

    assert "Expected str, got int - at $.basket.orders[1].pizza (there is 31415)" in str(error)


def test_a_value_that_holds_itself_is_refused() -> None:
    """It would otherwise be written until the stack is full."""
    ring: list[Any] = []
    ring.append(ring)

    assert "contains itself" in str(refusal(Codec(untyped, "untyped"), ring))


def test_a_value_whose_own_code_fails_is_refused_by_name() -> None:
    """Neither a broken repr nor a broken comparison may hide which argument it was."""

    class Broken:
        def __repr__(self) -> str:
            raise RuntimeError

        def __eq__(self, other: object) -> bool:
            raise RuntimeError

        __hash__ = None  # type: ignore[assignment]

    assert "argument other: <Broken>" in str(refusal(Codec(untyped, "untyped"), 1, Broken()))


def test_a_payload_over_the_limit_names_the_largest_argument() -> None:
    """The reader should learn what to move into a file."""
    codec = Codec(untyped, "untyped", payload_bytes_max=2_000)

    error = refusal(codec, "short", other="x" * 3_000)

    assert isinstance(error, LimitError)
    assert "argument other takes 3,002" in str(error)
    assert (error.facts["limit"], error.facts["argument"]) == (2_000, "other")


def test_every_type_comes_out_as_it_went_in() -> None:
    """The handler gets what its annotations say, not what JSON made of it."""
    basket = Basket(
        orders=[MITTE, Order("nord", "verdure")],
        at=datetime(2026, 3, 1, 12, tzinfo=UTC),
        price=Decimal("12.50"),
        id=UUID("0198c2f1-7b3a-7cc0-8000-3d2f5e6a7b8c"),
        tags={"hot"},
    )
    given = (
        basket,
        Box([Crate(1.5)]),
        Address(street="Torstraße"),
        Size.LARGE,
        [Guest(name="Ada", since=date(2020, 2, 29))],
        PurePosixPath("/tmp/x"),
        timedelta(minutes=3),
        {7: "seven"},
    )

    args, kwargs = round_trip(Codec(everything, "everything"), *given)

    assert args == (*given[:5], Path("/tmp/x"), *given[6:])
    assert kwargs == {}
    assert [type(value) for value in args[:5]] == [Basket, Box, dict, Size, list]
    assert (type(args[0].orders[0]), type(args[4][0]), type(args[7])) == (Order, Guest, dict)


def test_defaults_are_filled_in_when_the_job_runs() -> None:
    """Only what was given is stored: a default that changes in a deploy holds for the jobs that wait, as in a plain call."""
    payload, call = Codec(mixed, "mixed").encode((MITTE,), {"hot": True})

    assert payload == b'{"order":{"store":"mitte","pizza":"funghi"},"hot":true}'
    assert call == ((MITTE, 3, None), {"hot": True, "when": None})


def test_positional_only_arguments_are_refused_by_name() -> None:
    """As in a plain call."""
    assert "by position only" in str(refusal(Codec(mixed, "mixed"), order=MITTE, hot=True))


def test_a_mutable_default_is_the_function_s_own() -> None:
    """A struct must not copy, check or rebuild it: it is whatever Python would have passed."""

    args, _ = Codec(with_default, "with_default").decode(b"{}")

    assert args[0] is SHARED


SHARED = ["a"]


def with_default(items: list[str] = SHARED) -> None: ...


def test_the_same_arguments_give_the_same_bytes() -> None:
    """A token that is submitted again is compared by its payload, and how the call was written must not count."""
    codec = Codec(mixed, "mixed")

    first, _ = codec.encode((MITTE, 3), {"hot": True, "note": "x"})
    second, _ = codec.encode((MITTE, 3, "x"), {"hot": True})
    third, _ = codec.encode_text('{"hot": true, "note": "x", "n": 3, "order": {"pizza": "funghi", "store": "mitte"}}')

    assert first == second == third


def test_whole_floats_and_decimals_pass_where_python_would_take_them() -> None:
    """An int for a float or a Decimal is equal to what arrives."""
    args, _ = round_trip(Codec(numbers, "numbers"), 1, 2, 3)

    assert args == (1, 2.0, Decimal(3))
    assert "Expected int, got bool" in str(refusal(Codec(numbers, "numbers"), True, 2, 3))
    assert "Expected Decimal, got float" in str(refusal(Codec(numbers, "numbers"), 1, 2, 0.1))


def test_what_cannot_be_written_is_named_by_its_path() -> None:
    """In an order of forty fields, the name of the argument is not much of a help."""
    basket = Basket(
        [MITTE, Order("nord", cast(str, object()))], datetime(2026, 1, 1, tzinfo=UTC), Decimal(1), UUID(int=7)
    )

    error = refusal(Codec(shop, "shop"), basket)

    assert "argument basket: <object object" in str(error)
    assert "there is no form for object - at $.basket.orders[1].pizza" in str(error)
    assert error.facts["path"] == "$.basket.orders[1].pizza"
    assert "- at $.thing.a.b[1]" in str(refusal(Codec(untyped, "untyped"), {"a": {"b": [1, {2j: 1}]}}))


def shop(basket: Basket) -> None: ...


def test_a_pydantic_field_that_does_not_fit_is_named() -> None:
    """A model's own message is long; its first line and place are what one needs."""
    codec = Codec(invite, "invite")

    error = refusal(codec, {"name": 5, "since": "2020-02-29"})

    assert "Input should be a valid string (in name) - at $.guest" in str(error)


def invite(guest: Guest) -> Guest | None:
    return guest


def test_results_come_back_as_annotated() -> None:
    """``Snooze`` is never stored, so it is no part of a result's type."""
    codec = Codec(poll, "poll")

    assert codec.decode_result(codec.encode_result(MITTE)) == MITTE
    assert codec.encode_result(None) is None
    assert codec.decode_result(None) is None
    with pytest.raises(InvalidArgumentsError, match=r"does not fit its annotation.*Expected object.*result is kept"):
        codec.decode_result(b"[]")


def test_a_result_that_cannot_be_written_says_so() -> None:
    """The handler's author has to mend it, and needs the value."""
    codec = Codec(untyped, "untyped", result_bytes_max=1_024)

    with pytest.raises(InvalidArgumentsError, match=r"returned <object .*was not recorded"):
        codec.encode_result(object())
    with pytest.raises(InvalidArgumentsError, match=r"Write `raise Fail\(…\)`: only a Snooze is returned"):
        codec.encode_result(Fail("no oven"))
    with pytest.raises(LimitError, match="2,002 bytes of JSON, more than the 1,024"):
        codec.encode_result("x" * 2_000)
