"""The number of PostgreSQL's functions rises with them: code can tell newer ones from older ones only by it."""

from __future__ import annotations

import re
from hashlib import blake2b

from rota.store.postgres.schema import FUNCTIONS, SERVES, functions_digest
from rota.store.statements import load

KNOWN = (1, "9f3b32460dc3958a")
"""The number, and the functions that it stands for."""

SERVED = (1, "3585f2326001c285")
"""The oldest code that they serve, and what it calls them with and gets."""


def signatures_digest() -> str:
    """Return what changes with the arguments and columns of any function."""
    heads = [re.split(r"\bLANGUAGE\b", text, maxsplit=1)[0].split() for text in load("postgres").values()]
    return blake2b(repr(heads).encode(), digest_size=8).hexdigest()


def test_functions_that_have_changed_have_another_number() -> None:
    """With the same one `rota migrate` of the older code would put its functions in the place of the newer ones."""
    assert (FUNCTIONS, functions_digest()) == KNOWN, (
        "Functions have changed. If their number was released, raise FUNCTIONS in store/postgres/schema.py. Note both here."
    )


def test_functions_serve_older_code_as_long_as_it_can_call_them() -> None:
    """Its nodes go on after the migration of a newer release, as long as these say so."""
    assert SERVES <= FUNCTIONS
    assert (SERVES, signatures_digest()) == SERVED, (
        "Arguments or columns have changed. If the functions of before were released, and this is more than an argument with a "
        "default, raise SERVES in store/postgres/schema.py. Note both here."
    )
