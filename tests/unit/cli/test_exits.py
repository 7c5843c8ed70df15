from __future__ import annotations

import pytest

from rota import errors
from rota.cli.exits import MEANINGS, Exit, code_of


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (errors.LimitError, 2),
        (errors.InvalidArgumentsError, 2),
        (errors.UnknownTaskError, 3),
        (errors.UnknownTokenError, 3),
        (errors.ExpiredError, 3),
        (errors.TokenReusedError, 4),
        (errors.NotAllowedError, 4),
        (errors.JobFailedError, 1),
        (errors.ResultTimeoutError, 124),
        (errors.StoreUnavailableError, 69),
        (errors.StoreBrokenError, 69),
        (errors.StoreReadOnlyError, 69),
        (errors.StoreBusyError, 75),
        (errors.StoreFullError, 75),
        (errors.QueueFullError, 75),
        (errors.ConfigError, 78),
        (errors.SchemaVersionError, 78),
        (errors.UnsupportedStoreError, 78),
    ],
)
def test_an_error_ends_in_its_exit_code(kind: type[errors.RotaError], code: int) -> None:
    """Scripts branch on these numbers: they never change their meaning."""
    assert code_of(kind("…")) == code


def _all_kinds(kind: type[errors.RotaError]) -> list[type[errors.RotaError]]:
    return [kind, *(below for child in kind.__subclasses__() for below in _all_kinds(child))]


@pytest.mark.parametrize("kind", _all_kinds(errors.RotaError)[1:], ids=lambda kind: kind.__name__)
def test_no_error_raised_on_purpose_looks_like_a_fault(kind: type[errors.RotaError]) -> None:
    """70 means that rota is broken; what was raised on purpose is not that."""
    assert code_of(kind("…")) not in (Exit.OK, Exit.INTERNAL)


def test_every_code_is_explained_in_the_help() -> None:
    """An exit code that nobody can look up is a riddle."""
    assert set(MEANINGS) == set(Exit)
