"""The ``rota`` command: its list of commands, and what becomes of an error.

Nothing here or in the modules it names loads a store, the app or asyncio before a command needs it: ``rota --help`` must
answer at once.
"""

from __future__ import annotations

import os
import sys

import click

from rota.cli import house, job, jobs, keep, queue, retry, ring, run, status, submit
from rota.cli.exits import Exit, Stop, code_of
from rota.cli.help import Group
from rota.cli.output import OutputError, fail, hint, put
from rota.errors import RotaError


def _version(ctx: click.Context, _: click.Parameter, is_asked: bool) -> None:
    if is_asked:
        from importlib.metadata import version

        put(f"rota {version('rota')}")
        ctx.exit()


@click.group("rota", cls=Group, context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Print the version."
)
def cli() -> None:
    """Run and look after a durable job queue, in a SQLite file or on PostgreSQL.

    Data goes to stdout, messages to stderr. --json gives every command's data as JSON. The store is --store, else
    ROTA_STORE, else the app's (--app or ROTA_APP), else ./rota.db.

    Examples:
      rota run shop:app -p 2 -c 8
      rota submit bake '{"order": {"store": "mitte", "pizza": "funghi"}}' --app shop:app
      rota jobs --state failed
      rota job 0198c2f1-7b3a-7cc0-8000-3d2f5e6a7b8c
    """


for _command in (
    run.run,
    submit.submit,
    status.status,
    status.wait,
    jobs.jobs,
    job.job,
    retry.retry,
    job.cancel,
    queue.pause,
    queue.resume,
    queue.queues,
    house.workers,
    ring.ring,
    keep.backup,
    keep.migrate,
    keep.doctor,
    keep.health,
):
    cli.add_command(_command)


def main() -> None:
    """Run the command line and exit with the code that fits what happened; never show a traceback of ours."""
    _open_what_is_closed()
    try:
        code = _carry_out(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:
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
    code: int = Exit.OK
    try:
        with cli.make_context("rota", [*args] or ["--help"]) as ctx:
            cli.invoke(ctx)
    except click.exceptions.Exit as ended:
        code = ended.exit_code
    except Stop as stopped:
        fail(stopped.says, stopped.hint)
        return stopped.code
    except RotaError as error:
        fail(str(error))
        return code_of(error)
    except click.UsageError as error:
        return _show_usage(error)
    except KeyboardInterrupt:
        fail("interrupted.")
        return Exit.INTERRUPTED
    except (BrokenPipeError, OutputError):
        raise
    except UnicodeEncodeError as error:
        if not any(map(_is_no_text, args)):
            return _show_fault(error)
        fail("an argument is not text in UTF-8. Nothing was done.")
        return Exit.USAGE
    except Exception as error:
        return _show_fault(error)
    return code if args else Exit.USAGE


def _is_no_text(argument: str) -> bool:
    """Whether an argument holds bytes that Python could not read as text, and keeps as halves of surrogate pairs."""
    return any("\udc80" <= letter <= "\udcff" for letter in argument)


def _show_usage(error: click.UsageError) -> int:
    """Say what is wrong with the command line; return its exit code."""
    option = getattr(error, "option_name", None)
    says = error.format_message()
    if isinstance(error, click.NoSuchOption):
        says = f"No such option: {option}"
        if near := error.possibilities:
            says = f"There is no option {option}. Did you mean {' or '.join(sorted(near))}?"
    where = error.ctx.command_path if error.ctx else "rota"
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
