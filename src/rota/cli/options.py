"""Options that many commands share, declared once."""

from __future__ import annotations

import click

from rota.cli.help import Argument

store = click.option(
    "--store", metavar="URL", help="The store: a path or a postgresql:// URL. Else ROTA_STORE, the app, ./rota.db."
)
app = click.option("--app", metavar="MODULE:APP", help="The app, such as shop:app. Else ROTA_APP.")
as_json = click.option(
    "--json", "as_json", is_flag=True, help="Write JSON: one object, or for lists one object a line."
)
yes = click.option("--yes", "-y", is_flag=True, help="Do not ask.")
dry_run = click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
token = click.argument("token", cls=Argument, metavar="TOKEN", help="The job's token, as submit printed it.")
