from __future__ import annotations

import ast
import importlib
from types import ModuleType

import pytest

import rota
from tests.house.tree import SOURCE

PUBLIC_NAMES_MAX = 35


def public_names(module: ModuleType) -> list[str]:
    """Return what a reader would take for public: no underscore, not a module that was only imported on the way."""
    return [
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and not isinstance(value, ModuleType) and name != "annotations"
    ]


@pytest.mark.parametrize("name", ["rota", "rota.testing"])
def test_the_public_face_is_sorted_and_complete(name: str) -> None:
    """`__all__` is the contract: what is in it exists, what is not in it is private."""
    module = importlib.import_module(name)
    declared = list(module.__all__)

    assert declared == sorted(declared)
    assert len(declared) == len(set(declared))
    assert [name for name in declared if not hasattr(module, name)] == []
    assert sorted(set(public_names(module)) - set(declared)) == []


def test_type_checkers_see_the_same_face() -> None:
    """The names are looked up late; what mypy and editors read must not drift away from it."""
    tree = ast.parse((SOURCE / "__init__.py").read_text())
    shown = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("rota.")
        for alias in node.names
    }

    assert sorted(shown) == sorted(rota.__all__)


def test_the_public_face_is_small() -> None:
    """A newcomer reads it in one go; what is rarer lives in a module of its own."""
    assert len(rota.__all__) <= PUBLIC_NAMES_MAX


@pytest.mark.parametrize("name", rota.__all__)
def test_a_public_name_explains_itself(name: str) -> None:
    """`help(rota.X)` is the first page of documentation that people open."""
    value = getattr(rota, name)

    if callable(value):
        assert (value.__doc__ or "").strip(), f"rota.{name} has no docstring."
