"""How ``--help`` looks: what it does, how to write it, options, examples that can be pasted.

Plain text made here, not by rich: help must be there in less time than it takes to wonder whether it hangs.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Sequence
from typing import Any

import click

from rota.cli.exits import MEANINGS
from rota.cli.output import paint, put
from rota.model.near import near

SECTIONS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Do", ("run", "submit")),
    ("Look", ("status", "wait", "jobs", "job", "queues", "workers", "ring")),
    ("Change", ("retry", "cancel", "pause", "resume")),
    ("Keep", ("backup", "migrate", "doctor", "health")),
)


class Argument(click.Argument):
    """An argument that says what it is: options do, and those of older clicks do not."""

    def __init__(self, names: Sequence[str], *, help: str, **settings: Any) -> None:  # noqa: A002
        super().__init__(names, **settings)
        self.help = help


class Command(click.Command):
    """One command; its docstring is a sentence, a paragraph, and after a line ``Examples:`` what to type."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Answer a plain call for help before anything is parsed; else parse."""
        if _asks_for_help(ctx, args):
            _put_help(ctx)
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            error.ctx = error.ctx or ctx
            raise

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        """Answer a call for help that stands behind other options in the same way: a full disk is told as one."""
        option = super().get_help_option(ctx)
        if option is not None:
            option.callback = lambda ctx, _, is_asked: _put_help(ctx) if is_asked else None
        return option

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the help of one command."""
        about, _, examples = inspect.cleandoc(self.help or "").partition("Examples:\n")
        params = self.get_params(ctx)
        arguments = [param for param in params if isinstance(param, Argument)]
        options = [param for param in params if isinstance(param, click.Option)]
        _write_about(
            formatter,
            " ".join([ctx.command_path, *(param.make_metavar(ctx) for param in arguments), "[OPTIONS]"]),
            about,
        )
        _write_records(formatter, "Arguments", [(param.make_metavar(ctx), param.help or "") for param in arguments])
        _write_records(formatter, "Options", [record for param in options if (record := param.get_help_record(ctx))])
        if examples:
            formatter.write(f"\n{_head('Examples')}\n")
            formatter.write("".join(f"  {line}\n" for line in inspect.cleandoc(examples).splitlines()))


class Group(click.Group):
    """The root: commands by what one wants of them, and the exit codes."""

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the help of ``rota`` itself."""
        about, _, examples = inspect.cleandoc(self.help or "").partition("Examples:\n")
        _write_about(formatter, f"{ctx.command_path} COMMAND …", about)
        for title, names in SECTIONS:
            commands = [(name, self.get_command(ctx, name)) for name in names]
            _write_records(formatter, title, [(name, _summary(found)) for name, found in commands if found], 9)
        options = [record for param in self.get_params(ctx) if (record := param.get_help_record(ctx))]
        _write_records(formatter, "Options", options)
        _write_records(formatter, "Exit codes", [(str(int(code)), says) for code, says in MEANINGS.items()], 9)
        formatter.write(f"\n{_head('Examples')}\n")
        formatter.write("".join(f"  {line}\n" for line in inspect.cleandoc(examples).splitlines()))
        formatter.write(f"\nMore about a command: {ctx.command_path} COMMAND --help\n")

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Answer a plain call for help before anything is parsed; else parse."""
        if _asks_for_help(ctx, args[:1]):
            _put_help(ctx)
        return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or say which one was probably meant."""
        if args and not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            options = [name for param in self.get_params(ctx) for name in param.opts]
            found = near(args[0], [*options, *self.list_commands(ctx)], 2)
            meant = f" Did you mean {' or '.join(found)}?" if found else ""
            ctx.fail(f"There is no command {args[0]!r}.{meant}")
        return super().resolve_command(ctx, args)


def _put_help(ctx: click.Context) -> None:
    put(ctx.get_help())
    ctx.exit()


def _asks_for_help(ctx: click.Context, args: list[str]) -> bool:
    """Whether these words ask for help beyond doubt: behind an option, ``-h`` may be its value.

    Such a call is answered whatever is wrong with the words behind it.
    """
    for word in args:
        if word.startswith("-"):
            return word in ctx.help_option_names
    return False


def _write_about(formatter: click.HelpFormatter, usage: str, about: str) -> None:
    """Write how it is typed and what it does, each paragraph wrapped."""
    formatter.write(f"{_head('Usage')}  {usage}\n")
    for paragraph in about.strip().split("\n\n"):
        formatter.write("\n")
        formatter.write_text(" ".join(paragraph.split()))


def _summary(command: click.Command) -> str:
    return inspect.cleandoc(command.help or "").splitlines()[0]


def _head(title: str) -> str:
    return paint(title, "bold", sys.stdout)


def _write_records(formatter: click.HelpFormatter, title: str, records: list[tuple[str, str]], least: int = 0) -> None:
    """Write names and what they mean, the meanings under each other and wrapped to the terminal."""
    if not records:
        return
    formatter.write(f"\n{_head(title)}\n")
    formatter.indent()
    widest = max(least, *(len(name) for name, _ in records))
    padded = [(name.ljust(widest), says) for name, says in records]
    formatter.write_dl(padded, col_max=36)
    formatter.dedent()
