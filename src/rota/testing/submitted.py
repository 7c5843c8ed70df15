"""What has been submitted: to look at, and to assert on."""

from __future__ import annotations

from typing import Any, ParamSpec

from rota.app.connection import Session
from rota.app.rota import Rota
from rota.app.task import Task
from rota.model.job import JobRow
from rota.result.info import JobInfo, build_info
from rota.store.port import JobFilter
from rota.testing.given import check_app, check_task

P = ParamSpec("P")

_PAGE = 500


def submitted(app: Rota, task: Task[..., Any] | None = None) -> list[JobInfo]:
    """Return the jobs in the app's store, finished ones too, in the order in which their tokens were made.

    Args:
        task: Only jobs of this task.

    Raises:
        TypeError: ``app`` is no app, or ``task`` no task.
    """
    check_app(app, "submitted")
    if task is not None:
        check_task(task, "submitted")
    return [build_info(row, [], None) for row in _rows(app, task)]


def assert_submitted(task: Task[P, Any], *args: P.args, **kwargs: P.kwargs) -> JobInfo:
    """Assert that exactly one job of a task was submitted with these arguments, and return it.

    Arguments are compared as the handler gets them, with defaults filled in.

    Raises:
        AssertionError: None was, or several were; says what was submitted instead.
        InvalidArgumentsError: The arguments could not have been submitted at all.
        TypeError: ``task`` is no task.
    """
    check_task(task, "assert_submitted")
    codec = task._definition.codec
    wanted = codec.encode(args, kwargs)[1]
    rows = _rows(task._app, task)
    found = [row for row in rows if codec.decode(row.payload) == wanted]
    if len(found) == 1:
        return build_info(found[0], [], None)
    there = "\n".join(f"  {row.payload.decode()}" for row in rows) or "  none"
    how_many = "no job was" if not found else f"{len(found)} jobs were"
    raise AssertionError(
        f"{how_many} submitted to {task.name} with {codec.encode(args, kwargs)[0].decode()}. There are:\n{there}"
    )


def assert_not_submitted(task: Task[..., Any]) -> None:
    """Assert that no job of a task was submitted.

    Raises:
        AssertionError: One was; says with which arguments.
        TypeError: ``task`` is no task.
    """
    check_task(task, "assert_not_submitted")
    rows = _rows(task._app, task)
    if rows:
        there = "\n".join(f"  {row.payload.decode()}" for row in rows)
        raise AssertionError(
            f"{len(rows)} {'job was' if len(rows) == 1 else 'jobs were'} submitted to {task.name}:\n{there}"
        )


def _rows(app: Rota, task: Task[..., Any] | None) -> list[JobRow]:
    async def read(session: Session) -> list[JobRow]:
        rows: list[JobRow] = []
        before: bytes | None = None
        while True:
            which = JobFilter(task=None if task is None else task.name, before=before, limit=_PAGE)
            page = await session.store.jobs(which)
            rows += [row for one in page if (row := await session.store.find(one.token)) is not None]
            if len(page) < _PAGE:
                return rows[::-1]
            before = page[-1].token

    return app._run(read)
