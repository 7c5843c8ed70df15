"""Options that many commands share, declared once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from rota.cli.help import Argument

F = TypeVar("F", bound=Callable[..., Any])

yes = click.option("--yes", "-y", is_flag=True, help="Do not ask.")
dry_run = click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
token = click.argument("token", cls=Argument, metavar="TOKEN", help="The job's token, as submit printed it.")

_store = click.option(
    "--store", metavar="URL", help="The store: a path or a postgresql:// URL. Else ROTA_STORE, the app, ./rota.db."
)
_app = click.option("--app", metavar="MODULE:APP", help="The app, such as shop:app. Else ROTA_APP.")
_json = click.option("--json", "as_json", is_flag=True, help="Write JSON: one object, or for lists one object a line.")


def place(command: F) -> F:
    """Take what tells where the store is, as ``store`` and ``app``."""
    return _store(_app(command))


def common(command: F) -> F:
    """Take what every command that prints data does: ``as_json``, ``store`` and ``app``."""
    return _json(place(command))
