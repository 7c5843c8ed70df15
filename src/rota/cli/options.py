"""Options that many commands share, declared once."""

from __future__ import annotations

from typing import Annotated

import typer

Store = Annotated[
    str | None,
    typer.Option(
        "--store", metavar="URL", help="The store: a path or a postgresql:// URL. Else ROTA_STORE, the app, ./rota.db."
    ),
]
App = Annotated[
    str | None, typer.Option("--app", metavar="MODULE:APP", help="The app, such as shop:app. Else ROTA_APP.")
]
Json = Annotated[bool, typer.Option("--json", help="Write JSON: one object, or for lists one object a line.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]
Token = Annotated[str, typer.Argument(metavar="TOKEN", help="The job's token, as submit printed it.")]
