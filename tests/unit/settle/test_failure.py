"""What is kept of an exception."""

from __future__ import annotations

from datetime import timedelta
from typing import Never

import msgspec
import pytest

from rota.model.limits import ERROR_MESSAGE_BYTES_MAX, NAME_BYTES_MAX, TRACEBACK_BYTES_MAX
from rota.settle.backoff import full_jitter
from rota.settle.failure import cut_end, cut_front, failure_of, traceback_text


class Unspeakable(Exception):
    """Raises when anybody wants to read it."""

    def __str__(self) -> str:
        raise RuntimeError("no")

    __repr__ = __str__

    @property
    def __notes__(self) -> list[str]:  # type: ignore[override]
        raise RuntimeError("no")


def raised(function: object, *args: object, **kwargs: object) -> BaseException:
    assert callable(function)
    try:
        function(*args, **kwargs)
    except BaseException as error:  # Tests look at whatever it is.
        return error
    raise AssertionError("nothing was raised")


def handler(depth: int = 0) -> Never:
    if depth:
        handler(depth - 1)
    raise ValueError("no such pizza")


def handler_with_a_cause() -> Never:
    try:
        handler()
    except ValueError as error:
        raise KeyError("menu") from error


def test_class_message_and_traceback_are_kept() -> None:
    failure = failure_of(raised(handler))

    assert (failure.type, failure.message) == ("ValueError", "no such pizza")
    assert failure.traceback.startswith("Traceback (most recent call last):")
    assert failure.traceback.endswith("ValueError: no such pizza\n")
    assert "in handler" in failure.traceback


def test_a_cause_is_told_first() -> None:
    text = traceback_text(raised(handler_with_a_cause))

    assert text.index("ValueError: no such pizza") < text.index("direct cause") < text.index("KeyError: 'menu'")


def test_members_of_a_group_are_told() -> None:
    text = traceback_text(BaseExceptionGroup("two", [raised(handler), raised(handler_with_a_cause)]))

    assert "ExceptionGroup: two (2 sub-exceptions)" in text
    assert "ValueError: no such pizza" in text
    assert "KeyError: 'menu'" in text


def test_the_frames_of_rota_at_the_top_are_left_out() -> None:
    """Whoever reads a dead letter looks for a fault in the handler; how it was called tells nothing."""

    class Handler:
        def uniform(self, low: float, high: float) -> float:
            handler()

    second = timedelta(seconds=1)
    error = raised(full_jitter, 1, base=second, cap=second, entropy=Handler())
    assert error.__traceback__ is not None
    error.__traceback__ = error.__traceback__.tb_next  # Without the frame of this file, full_jitter's is on top.

    text = traceback_text(error)

    assert "full_jitter" not in text
    assert "in uniform" in text
    assert "in handler" in text


def test_an_exception_of_rota_itself_keeps_its_frames() -> None:
    """A payload that cannot be decoded never reaches the handler: then rota's frames are all there is."""
    error = raised(full_jitter, 0, base=None, cap=None, entropy=None)
    assert error.__traceback__ is not None
    error.__traceback__ = error.__traceback__.tb_next

    assert "in full_jitter" in traceback_text(error)


def test_an_exception_that_was_never_raised_has_a_short_one() -> None:
    assert traceback_text(ValueError("x")) == "ValueError: x\n"


def test_an_exception_that_cannot_be_shown_is_still_a_record() -> None:
    """User code in ``__str__`` must not be able to lose a job."""
    failure = failure_of(Unspeakable())

    assert failure.type == "Unspeakable"
    assert failure.message == "(its message cannot be shown)"
    assert failure.traceback


def test_a_deep_recursion_is_cut_to_the_frames_at_its_end() -> None:
    def down(depth: int) -> None:
        if depth:
            return down(depth - 1)
        raise ValueError("bottom")

    text = traceback_text(raised(down, 500))

    assert len(text.encode()) <= TRACEBACK_BYTES_MAX
    assert text.endswith("ValueError: bottom\n")


def test_everything_is_cut_to_its_limit() -> None:
    error = type("E" * 1_000, (Exception,), {})("ä" * 100_000)

    failure = failure_of(error)

    assert len(failure.type.encode()) <= NAME_BYTES_MAX
    assert len(failure.message.encode()) <= ERROR_MESSAGE_BYTES_MAX
    assert failure.message.startswith("ää")
    assert failure.message.endswith("… (200,000 bytes in all)")
    assert len(failure.traceback.encode()) <= TRACEBACK_BYTES_MAX
    assert failure.traceback.startswith("(the end of ")
    assert failure.traceback.endswith("ää\n")


def test_what_no_database_takes_is_escaped() -> None:
    """PostgreSQL refuses a zero character, and nothing encodes a lone surrogate."""
    failure = failure_of(ValueError("zero \0 and \ud800"))

    assert failure.message == "zero \\x00 and \\ud800"
    assert msgspec.json.decode(msgspec.json.encode(failure.message)) == failure.message


@pytest.mark.parametrize("size", [40, 41, 42, 43, 100])
def test_a_cut_never_splits_a_letter_and_is_never_too_long(size: int) -> None:
    for text in ("a" * 200, "ä" * 200, "🍕" * 200, "aä🍕" * 50):
        front, end = cut_front(text, size), cut_end(text, size)

        assert len(front.encode()) <= size
        assert len(end.encode()) <= size
        assert "\ufffd" not in front + end
        assert text.endswith(front.partition("…\n")[2])
        assert text.startswith(end.partition(" …")[0])


def test_what_fits_is_not_touched() -> None:
    assert cut_end("ä" * 10, 20) == cut_front("ä" * 10, 20) == "ä" * 10


def test_recursion_that_has_no_end_is_kept() -> None:
    def for_ever() -> None:
        for_ever()

    failure = failure_of(raised(for_ever))

    assert failure.type == "RecursionError"
    assert failure.message.startswith("maximum recursion depth exceeded")
