"""Arguments that are JSON already: from a command line, and out of the store."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from uuid import UUID

import msgspec
import pytest

from rota.errors import InvalidArgumentsError
from rota.model.codec import Codec
from tests.unit.model.test_codec import Address, Basket, Crate, Guest, poll, round_trip


def test_json_text_is_checked_like_a_call() -> None:
    """The command line must not be a way around the annotations."""
    codec = Codec(poll, "poll")

    payload, call = codec.encode_text('{"at": "2026-01-01T00:00:00Z"}')

    assert call == ((datetime(2026, 1, 1, tzinfo=UTC),), {})
    assert codec.decode(payload) == call
    for text, says in {
        '{"at": 3}': "Expected datetime, got int - at $.at",
        '{"at": "soon"}': "Invalid RFC3339",
        "{}": "missing 1 argument: at",
        '{"att": 1}': "no parameter 'att' (did you mean 'at'?)",
        "[1]": "Expected object, got array",
        "{": "not JSON",
        '{"at": "x"} y': "not JSON",
    }.items():
        with pytest.raises(InvalidArgumentsError, match="Nothing was written") as caught:
            codec.encode_text(text)
        assert says in str(caught.value), text


class Pie(msgspec.Struct, rename="camel", tag_field="kind", tag="pie"):
    baked_at: datetime
    tin: Crate | None = None


def menu(baskets: list[Basket], home: Address, pies: dict[date, Pie], guest: Guest | None = None) -> None: ...


MENU = {
    "baskets": [
        {"orders": [{"store": "a", "pizza": "b"}], "at": "2026-01-01T00:00:00Z", "price": "1", "id": str(UUID(int=7))}
    ],
    "home": {"street": "x"},
    "pies": {"2026-01-01": {"kind": "pie", "bakedAt": "2026-01-01T00:00:00Z", "tin": {"weight": 1.5}}},
}


def test_a_field_too_many_in_json_text_is_refused_however_deep() -> None:
    """From Python it would be refused; read over, a misspelt field would keep its default and nobody would know."""
    codec = Codec(menu, "menu")

    assert codec.encode_text(msgspec.json.encode(MENU))

    for place, says in {
        ("baskets", 0): "unknown field x - at $.baskets[0]",
        ("baskets", 0, "orders", 0): "unknown field x - at $.baskets[0].orders[0]",
        ("home",): "unknown field x - at $.home",
        ("pies", "2026-01-01"): "unknown field x - at $.pies.2026-01-01",
        ("pies", "2026-01-01", "tin"): "unknown field x - at $.pies.2026-01-01.tin",
    }.items():
        spoilt = msgspec.json.decode(msgspec.json.encode(MENU))
        inner = spoilt
        for step in place:
            inner = inner[step]
        inner["x"] = 1
        with pytest.raises(InvalidArgumentsError, match="Nothing was written") as caught:
            codec.encode_text(msgspec.json.encode(spoilt))
        assert says in str(caught.value)


def test_a_misspelt_field_in_json_text_is_guessed_at() -> None:
    """The nearest name is nearly always the one that was meant."""
    with pytest.raises(InvalidArgumentsError, match=r"unknown field not \(did you mean 'note'\?\) - at \$\.slip"):
        Codec(take_slip, "take_slip").encode_text('{"slip": {"not": "x"}}')


@dataclass
class Slip:
    note: str = ""


def take_slip(slip: Slip) -> Slip:
    return slip


def test_stored_arguments_with_a_field_too_many_inside_can_be_run() -> None:
    """In a rolling deploy an old worker meets what newer code has submitted; it runs it with the fields that it knows."""
    assert Codec(take_slip, "take_slip").decode(b'{"slip": {"note": "x", "since": 3}}') == ((Slip("x"),), {})


def test_a_dict_for_a_struct_has_the_names_of_its_json() -> None:
    """What ``rename`` makes of a field is the name under which it is read."""
    args, _ = round_trip(Codec(take_pie, "take_pie"), {"kind": "pie", "bakedAt": datetime(2026, 1, 1, tzinfo=UTC)})

    assert args == (Pie(datetime(2026, 1, 1, tzinfo=UTC)),)


def take_pie(pie: Pie) -> None: ...


def test_stored_arguments_of_other_code_are_refused_at_the_worker() -> None:
    """A job must not run with half of its arguments."""
    with pytest.raises(InvalidArgumentsError, match=r"unknown field pizza.*The job has not been run"):
        Codec(poll, "poll").decode(b'{"pizza": "funghi"}')
