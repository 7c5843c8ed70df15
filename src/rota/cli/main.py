"""The ``rota`` command: its list of commands, and what becomes of an error.

Nothing here or in the modules it names loads a store, the app or asyncio before a command needs it: ``rota --help`` must
answer at once.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any

import typer

from rota.cli import house, job, jobs, keep, queue, retry, ring, run, status, submit
from rota.cli.exits import Exit, Stop, code_of
from rota.cli.help import Command, Group, UsageError
from rota.cli.output import OutputError, fail, hint, put
from rota.errors import RotaError

cli = typer.Typer(
    name="rota",
    cls=Group,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(is_asked: bool) -> None:
    if is_asked:
        from importlib.metadata import version

        put(f"rota {version('rota')}")
        raise typer.Exit


@cli.callback()
def root(
    _version_asked: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Run and look after a durable job queue, in a SQLite file or on PostgreSQL.

    Data goes to stdout, messages to stderr. --json gives every command's data as JSON. The store is --store, else
    ROTA_STORE, else the app's (--app or ROTA_APP), else ./rota.db.

    Examples:
      rota run shop:app -p 2 -c 8
      rota submit bake '{"order": {"store": "mitte", "pizza": "funghi"}}' --app shop:app
      rota jobs --state failed
      rota job 0198c2f1-7b3a-7cc0-8000-3d2f5e6a7b8c
    """


_COMMANDS: dict[str, Callable[..., None]] = {
    "run": run.run,
    "submit": submit.submit,
    "status": status.status,
    "wait": status.wait,
    "jobs": jobs.jobs,
    "job": job.job,
    "retry": retry.retry,
    "cancel": job.cancel,
    "pause": queue.pause,
    "resume": queue.resume,
    "queues": queue.queues,
    "workers": house.workers,
    "ring": ring.ring,
    "backup": keep.backup,
    "migrate": keep.migrate,
    "doctor": keep.doctor,
    "health": keep.health,
}


class _ReaderGoneError(Exception):
    """Whoever reads our output (``head``, a pager) wants no more."""


def _guarded(command: Callable[..., None]) -> Callable[..., None]:
    """Keep interrupts and closed pipes from typer, which would end them its own way."""

    @wraps(command)
    def guarded(*args: Any, **options: Any) -> None:
        try:
            command(*args, **options)
        except BrokenPipeError as error:
            raise _ReaderGoneError from error
        except KeyboardInterrupt as error:
            raise Stop(Exit.INTERRUPTED, "interrupted.") from error

    return guarded


for _name, _function in _COMMANDS.items():
    cli.command(_name, cls=Command)(_guarded(_function))


def main() -> None:
    """Run the command line and exit with the code that fits what happened; never show a traceback of ours."""
    _open_what_is_closed()
    try:
        code = _carry_out(sys.argv[1:])
        sys.stdout.flush()
    except (BrokenPipeError, _ReaderGoneError):
        _drop_output()
        code = Exit.OK
    except (OutputError, OSError) as error:
        _drop_output()
        fail(f"the output cannot be written: {getattr(error, 'strerror', error)}. What the command did stands.")
        code = Exit.TRY_AGAIN
    sys.exit(code)


def _open_what_is_closed() -> None:
    """Stand in for streams that were closed before we began (``rota … >&-``): Python has ``None`` for them."""
    sys.stdin = sys.stdin or open(os.devnull, encoding="utf-8")  # noqa: SIM115
    sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115


def _drop_output() -> None:
    """Leave no descriptor that fails: Python would complain once more when it flushes at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _carry_out(args: list[str]) -> int:
    """Do what the arguments say; return the exit code."""
    try:
        returned: Any = cli(args or ["--help"], prog_name="rota", standalone_mode=False)
    except Stop as stopped:
        fail(stopped.says, stopped.hint)
        return stopped.code
    except RotaError as error:
        fail(str(error))
        return code_of(error)
    except UsageError as error:
        return _show_usage(error)
    except (KeyboardInterrupt, typer.Abort):
        fail("interrupted.")
        return Exit.INTERRUPTED
    except (BrokenPipeError, _ReaderGoneError, OutputError):
        raise
    except UnicodeEncodeError as error:
        if not any(map(_is_no_text, args)):
            return _show_fault(error)
        fail("an argument is not text in UTF-8. Nothing was done.")
        return Exit.USAGE
    except Exception as error:
        return _show_fault(error)
    if not args:
        return Exit.USAGE
    return returned if isinstance(returned, int) else Exit.OK


def _is_no_text(argument: str) -> bool:
    """Whether an argument holds bytes that Python could not read as text, and keeps as halves of surrogate pairs."""
    return any("\udc80" <= letter <= "\udcff" for letter in argument)


def _show_usage(error: Any) -> int:
    """Say what is wrong with the command line; return its exit code."""
    ctx, option = getattr(error, "ctx", None), getattr(error, "option_name", None)
    says = error.format_message()
    if near := getattr(error, "possibilities", None):
        says = f"There is no option {option}. Did you mean {' or '.join(sorted(near))}?"
    where = ctx.command_path if ctx else "rota"
    behind = "Options stand behind the command. " if option and where == "rota" else ""
    fail(says, f"{behind}{where} --help shows how it is written.")
    return Exit.USAGE


def _show_fault(error: Exception) -> int:
    """Say that this is a fault of ours, with what a report needs; return its exit code."""
    if os.environ.get("ROTA_DEBUG"):
        raise error
    at = error.__traceback__
    while at is not None and at.tb_next is not None:
        at = at.tb_next
    place = f" ({os.path.basename(at.tb_frame.f_code.co_filename)}:{at.tb_lineno})" if at is not None else ""
    fail(f"a fault in rota itself: {type(error).__name__}: {error}{place}")
    hint("Nothing more is known here. ROTA_DEBUG=1 shows the traceback; please report it.")
    return Exit.INTERNAL
