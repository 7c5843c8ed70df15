from __future__ import annotations

import ast
from pathlib import Path

from tests.house.tree import nodes_of, own_files

FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 70


def too_long(file: Path) -> list[str]:
    """Return what does not fit.

    Above 400 lines a file holds more than one thing: split it along them. A function that has to be scrolled is read wrong.
    Docstrings of files are not counted, also those of constants: prose is read faster than code, and wanted.
    """
    lines, found = len(file.read_text().splitlines()), []
    for node in nodes_of(file) if file.suffix == ".py" else ():
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and _lines(node) > FUNCTION_LINES_MAX:
            found.append(f"{file}:{node.lineno} {node.name} has {_lines(node)} lines")
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            lines -= _lines(node)
    return [*found, f"{file} has {lines} lines of code"] if lines > FILE_LINES_MAX else found


def _lines(node: ast.stmt) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def test_files_fit_in_a_reader_s_head_and_functions_on_a_screen() -> None:
    """What does not is read wrong."""
    files = own_files(".py", ".sql")

    found = [says for file in files for says in too_long(file)]

    assert files
    assert not found, f"The limits are {FILE_LINES_MAX} and {FUNCTION_LINES_MAX} lines: {'; '.join(found)}"


def test_what_is_too_long_is_found(tmp_path: Path) -> None:
    """A checker that cannot fail checks nothing."""
    file = tmp_path / "long.py"
    function = "def long():\n" + "    x = 1\n" * FUNCTION_LINES_MAX
    prose = f'"""{chr(10) * FILE_LINES_MAX}"""\n'

    file.write_text(prose + "x = 1\n" * FILE_LINES_MAX)
    assert too_long(file) == []
    file.write_text(function + "x = 1\n" * FILE_LINES_MAX)
    assert too_long(file) == [f"{file}:1 long has 71 lines", f"{file} has 471 lines of code"]
