"""The number of PostgreSQL's functions rises with them: code can tell newer ones from older ones only by it."""

from __future__ import annotations

from rota.store.postgres.schema import FUNCTIONS, SERVES, functions_digest

KNOWN = (1, "2356d575d484ec0c")
"""The number, and the functions that it stands for."""


def test_functions_that_have_changed_have_another_number() -> None:
    """With the same one `rota migrate` of the older code would put its functions in the place of the newer ones."""
    assert (FUNCTIONS, functions_digest()) == KNOWN, (
        "Functions have changed. Once their number was released, raise FUNCTIONS in store/postgres/schema.py; and raise SERVES "
        "to it if code of before may not call them any more. Then note both here."
    )


def test_functions_serve_the_code_that_they_came_with() -> None:
    """The oldest code that they serve cannot be newer than they are."""
    assert 1 <= SERVES <= FUNCTIONS
