from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.house.tree import own_files, told

FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 70


def prose_lines(tree: ast.AST) -> int:
    """Return how many lines are docstrings, also those of constants: prose is read faster than code, and wanted."""
    return sum(
        (node.end_lineno or node.lineno) - node.lineno + 1
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    )


@pytest.mark.parametrize("file", own_files(".py", ".sql"), ids=told)
def test_a_file_fits_in_a_reader_s_head(file: Path) -> None:
    """Above 400 lines, docstrings aside, a file holds more than one thing: split it along them."""
    text = file.read_text()
    lines = len(text.splitlines()) - (prose_lines(ast.parse(text)) if file.suffix == ".py" else 0)

    assert lines <= FILE_LINES_MAX, f"{told(file)} has {lines} lines of code; the limit is {FILE_LINES_MAX}."


@pytest.mark.parametrize("file", own_files(".py"), ids=told)
def test_a_function_fits_on_a_screen(file: Path) -> None:
    """A function that has to be scrolled is read wrong."""
    tree = ast.parse(file.read_text())

    long = [
        f"{told(file)}:{node.lineno} {node.name} has {lines} lines"
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (lines := (node.end_lineno or node.lineno) - node.lineno + 1) > FUNCTION_LINES_MAX
    ]

    assert not long, f"The limit is {FUNCTION_LINES_MAX} lines: {'; '.join(long)}"
