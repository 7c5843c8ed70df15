"""A member of the ring: a worker's place, by name."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import Final

from rota.errors import LimitError
from rota.model.limits import NAME_BYTES_MAX, PROCESSES_MAX

WEIGHT_MAX: Final = 1_000


@dataclass(frozen=True, slots=True, order=True)
class Member:
    """A worker that takes part. Members are the same when name and weight are.

    Attributes:
        name: Its place, ``node/1``: the name is kept by the process that follows a crashed one. Held in NFC, so that a
            name is the same whichever way a keyboard or a file system spells its accents.
        weight: How much it takes, beside the others' weights; 1 to 1,000.

    Raises:
        LimitError: If the name is empty, too long or no Unicode text, or the weight out of range.
    """

    name: str
    weight: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", unicodedata.normalize("NFC", self.name))
        try:
            size = len(self.name.encode())
        except UnicodeEncodeError as error:
            raise LimitError(f"A worker's name must be Unicode text; {self.name!r} is not.", name=self.name) from error
        if not 1 <= size <= NAME_BYTES_MAX:
            raise LimitError(
                f"A worker's name must have 1 to {NAME_BYTES_MAX} bytes; {self.name!r} has {size}.",
                name=self.name,
                limit=NAME_BYTES_MAX,
            )
        if isinstance(self.weight, bool) or not isinstance(self.weight, int) or not 1 <= self.weight <= WEIGHT_MAX:
            raise LimitError(
                f"The weight of {self.name} is {self.weight!r}; a whole number from 1 to {WEIGHT_MAX:,} is needed.",
                name=self.name,
                value=self.weight,
                limit=WEIGHT_MAX,
            )

    @property
    def node(self) -> str:
        """The node's name: what stands before the last slash, or the whole name if there is none."""
        return self.name.rpartition("/")[0] or self.name

    @property
    def number(self) -> int:
        """Which of its node's places this is, from 1; 0 when the name does not say."""
        digits = self.name.rpartition("/")[2]
        is_number = "/" in self.name and digits.isascii() and digits.isdigit() and digits[0] != "0" and len(digits) <= 3
        return int(digits) if is_number and int(digits) <= PROCESSES_MAX else 0
