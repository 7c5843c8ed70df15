"""A store that is not there yet is waited for; one that never will be is not."""

from __future__ import annotations

from typing import Any

import pytest

from rota.errors import SchemaVersionError, StoreBrokenError, StoreUnavailableError
from rota.node.insist import until_answered, until_opened
from rota.runtime.clock import SystemClock
from rota.runtime.entropy import SystemEntropy

ENTROPY = SystemEntropy(SystemClock())


class Door:
    """A store that opens after so many refusals."""

    def __init__(self, refusals: int, error: Exception | None = None) -> None:
        self.tries = 0
        self._refusals = refusals
        self._error = error or StoreUnavailableError("the server starts up")

    async def open(self) -> Any:
        self.tries += 1
        if self.tries <= self._refusals:
            raise self._error
        return "open"


async def test_a_store_that_comes_up_late_is_opened() -> None:
    """A server and its nodes were started together; the third try gets through."""
    door = Door(2)
    told: list[Exception] = []
    opened: Any = await until_opened(door.open, ENTROPY, told.append)

    assert opened == "open"
    assert len(told) == 2


async def test_patience_has_an_end_where_one_is_given() -> None:
    """A wrong address is not waited for until the evening."""
    door = Door(1_000_000)

    with pytest.raises(StoreUnavailableError):
        await until_opened(door.open, ENTROPY, lambda _: None, patience_s=0.5)

    assert door.tries > 1


async def test_what_waiting_does_not_mend_is_not_waited_for() -> None:
    """The schema is older than the code: a person must type a command."""
    door = Door(1, SchemaVersionError("too old"))

    with pytest.raises(SchemaVersionError):
        await until_opened(door.open, ENTROPY, lambda _: None)

    assert door.tries == 1


async def test_a_broken_store_is_not_asked_for_ever() -> None:
    """A supervisor that registers when the disk fails would stand there for ever; its keeper can start another."""
    door = Door(1, StoreBrokenError("the disk reported an error"))

    with pytest.raises(StoreBrokenError):
        await until_answered(door.open, ENTROPY, lambda _: None)

    assert door.tries == 1
