"""Runs `session.py` of the current folder statement by statement, as somebody at a prompt would, and prints what each gives."""

from __future__ import annotations

import ast
import asyncio
import inspect
from pathlib import Path
from typing import Any


def main() -> None:
    """Run it."""
    scope: dict[str, Any] = {}
    for statement in ast.parse(Path("session.py").read_text()).body:
        is_value = isinstance(statement, ast.Expr)
        tree = ast.Expression(statement.value) if isinstance(statement, ast.Expr) else ast.Module([statement], [])
        code = compile(tree, "session.py", "eval" if is_value else "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        value = eval(code, scope)
        if inspect.iscoroutine(value):
            value = asyncio.run(value)
        if is_value:
            print(repr(value))


if __name__ == "__main__":
    main()
