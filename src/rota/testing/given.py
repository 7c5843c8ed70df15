"""What is handed to the tools, looked at: a test that passes the wrong thing is told which."""

from __future__ import annotations

from typing import Any

from rota.app.rota import Rota
from rota.app.task import Submittable


def check_app(app: Any, tool: str) -> Rota:
    """Return an app if it is one.

    Raises:
        TypeError: It is something else.
    """
    if isinstance(app, Rota):
        return app
    raise TypeError(f"{tool}(): an app is needed, the Rota(…) of your module, and {app!r} is {_kind(app)}.")


def check_task(task: Any, tool: str) -> Submittable[..., Any]:
    """Return a task if it is one.

    Raises:
        TypeError: It is something else.
    """
    if isinstance(task, Submittable):
        return task
    raise TypeError(f"{tool}(): a task is needed, a function under @app.task, and {task!r} is {_kind(task)}.")


def check_concurrency(concurrency: Any, tool: str) -> int:
    """Return a number of jobs at once if it is one.

    Raises:
        TypeError: It is not a whole number.
        ValueError: It is below 1: nothing would ever be run.
    """
    if isinstance(concurrency, bool) or not isinstance(concurrency, int):
        raise TypeError(f"{tool}(concurrency={concurrency!r}): a whole number is needed.")
    if concurrency < 1:
        raise ValueError(f"{tool}(concurrency={concurrency!r}): at least 1 is needed, or nothing would be run.")
    return concurrency


def _kind(value: Any) -> str:
    return "a class" if isinstance(value, type) else f"of type {type(value).__name__}"
