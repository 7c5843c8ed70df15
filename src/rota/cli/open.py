"""Which store a command means, and opening it.

    --store  ▷  ROTA_STORE  ▷  the app's (--app, ROTA_APP)  ▷  rota.toml  ▷  ./rota.db

A command that only reads never makes a store: a mistyped path must be an error, not an empty list. Nor does it write one:
whoever may read a store may look at it, and a look never changes a schema under nodes that run.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from rota.cli.exits import Exit, stop

if TYPE_CHECKING:
    from rota.app.config import Config
    from rota.store.port import Store

T = TypeVar("T")
_NAMED_AT_MOST = 5

DEFAULT = "the default"
"""Who said so, when nobody did."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a store is.

    Attributes:
        url: A path or a URL, as it was given.
        source: Who said so, for messages.
        settings: How its app wants it opened, where an app was asked.
    """

    url: str
    source: str
    settings: Mapping[str, Any] = field(default_factory=dict)


def place_of(store: str | None, app: str | None) -> Place:
    """Return the store that is meant.

    Raises:
        Stop: The app has to be asked and cannot be imported.
        RotaError: A file of settings cannot be read.
    """
    if said := said_outright(store):
        return said
    if app := app_of(app):
        from rota.cli.describe import describe

        about = describe(app)
        return Place(about.store, f"the store of {app}", about.settings)
    from rota.app.config import DEFAULT_STORE, load_config

    url = load_config({}).store
    return Place(url, DEFAULT if url == DEFAULT_STORE else "set in rota.toml or pyproject.toml")


def said_outright(store: str | None) -> Place | None:
    """Return the store that the command or its environment names; ``None`` if they do not."""
    if store == "":
        stop(
            Exit.USAGE,
            "--store is empty. Nothing was done.",
            "Is a variable unset? Name a path or a postgresql:// URL.",
        )
    if store:
        return Place(store, "--store")
    if named := _from_environment("ROTA_STORE"):
        return Place(named, "ROTA_STORE")
    return None


def app_of(app: str | None) -> str | None:
    """Return the app that is meant: the option, else ROTA_APP, else none.

    Raises:
        Stop: The option is empty.
    """
    if app == "":
        stop(Exit.USAGE, "--app is empty. Nothing was done.", "Is a variable unset? Name it as MODULE:APP.")
    return app or os.environ.get("ROTA_APP") or None


def _from_environment(name: str) -> str | None:
    """Return a setting of the environment, or the text of the file that ``<name>_FILE`` names, for secrets.

    Raises:
        Stop: That file cannot be read.
    """
    if value := os.environ.get(name):
        return value
    if path := os.environ.get(f"{name}_FILE"):
        try:
            return Path(path).read_text(encoding="utf-8").strip() or None
        except (OSError, ValueError) as error:
            stop(Exit.CONFIG, f"{name}_FILE names {path}, which cannot be read: {error}.")
    return None


def with_store(
    store: str | None,
    app: str | None,
    body: Callable[[Store], Awaitable[T]],
    *,
    writes: bool = False,
    creates: bool = False,
) -> T:
    """Open the store that is meant, do ``body`` with it, close it, and return what it returned.

    Args:
        store: The option ``--store``.
        app: The option ``--app``.
        body: What is done.
        writes: It changes something; else no right to write is needed.
        creates: Make the store if it is not there: only for commands that put something in.

    Raises:
        Stop: There is no store and none is to be made.
        RotaError: It cannot be opened, or ``body`` raised it.
    """
    return run_with(place_of(store, app), body, writes=writes, creates=creates)


def run_with(place: Place, body: Callable[[Store], Awaitable[T]], *, writes: bool = False, creates: bool = False) -> T:
    """Do the same as ``with_store`` with a place that is known already."""
    require(place, creates=creates)
    import asyncio

    return asyncio.run(_whole(place, body, writes=writes or creates))


async def _whole(place: Place, body: Callable[[Store], Awaitable[T]], *, writes: bool) -> T:
    opened = await open_at(place, writes=writes)
    try:
        return await body(opened)
    finally:
        await opened.close()


async def open_at(place: Place, *, writes: bool = False) -> Store:
    """Open a store as its app, the environment and the files of settings say; to look at it, unless it is to be written.

    Raises:
        RotaError: It cannot be opened, or a setting is wrong.
    """
    from rota.app.engine import open_store

    return await open_store(place.url, config=config_of(place), reads_only=not writes)


def config_of(place: Place) -> Config:
    """Return the settings of a store.

    Raises:
        RotaError: One of them is wrong.
    """
    from rota.app.config import load_config

    return load_config({**place.settings, "store": place.url})


def require(place: Place, *, creates: bool) -> None:
    """Stop if the store is a file that cannot be one, or is not there and shall not be made."""
    from rota.app.address import SQLITE, read_address

    address = read_address(place.url)
    if address.engine != SQLITE:
        return
    if address.is_in_memory:
        stop(
            Exit.CONFIG,
            f"{place.url} ({place.source}) lives and dies with its process.",
            "Name a file: --store rota.db",
        )
    path = Path(address.place)
    try:
        _require_file(path, place, creates=creates)
    except PermissionError as error:
        stop(
            Exit.UNAVAILABLE,
            f"{path} ({place.source}) cannot be looked at: {error.strerror}.",
            "Look at the rights of its folders.",
        )


def _require_file(path: Path, place: Place, *, creates: bool) -> None:
    if path.is_dir():
        stop(
            Exit.CONFIG, f"{path} ({place.source}) is a folder, not a store.", f"Name the file: --store {path}/rota.db"
        )
    if path.exists() and not path.is_file():
        stop(
            Exit.CONFIG,
            f"{path} ({place.source}) is a device, a pipe or a socket, and a store is a file.",
            "Name one, such as --store rota.db",
        )
    if not creates and not path.exists():
        stop(Exit.UNAVAILABLE, f"there is no store at {path} ({place.source}).", _advice())
    if not creates and path.stat().st_size == 0:
        stop(Exit.UNAVAILABLE, f"{path} ({place.source}) is an empty file, not yet a store.", _advice())


def news_of_new(place: Place) -> str:
    """Return what to say once a command has made a store that is not there yet; empty if it is there.

    A job that was put into a new store beside the one that was meant would wait for ever.
    """
    from rota.app.address import SQLITE, read_address

    address = read_address(place.url)
    if address.engine != SQLITE or Path(address.place).exists():
        return ""
    stores = _stores_here() if place.source == DEFAULT else []
    meant = f" Was --store {stores[0]} meant?" if stores else ""
    return f"This made a new store, {address.place} ({place.source}).{meant}"


def _advice() -> str:
    """Say how a store is named; first of all those that lie in this folder."""
    if stores := _stores_here():
        first, *others = stores
        also = f" Others here: {', '.join(others)}." if others else ""
        return f"Is it --store {first}?{also} With --app MODULE:APP, or ROTA_APP, it is the app's own."
    return (
        "Name it with --store or ROTA_STORE, or its app with --app MODULE:APP or ROTA_APP; `rota run MODULE:APP` and "
        "`rota submit` make one."
    )


def _stores_here() -> list[str]:
    """Return the files of this folder that are stores, as far as can be seen from outside, the newest first.

    Beside a store lies its folder ``<name>.d``, with ``proof`` in it. Files are not opened: closing one again would drop
    the locks that this process may hold on it.
    """
    found = [
        file
        for folder in Path().glob("*.d")
        if (folder / "proof").is_dir() and (file := folder.with_suffix("")).is_file()
    ]
    return [str(file) for file in sorted(found, key=lambda file: -file.stat().st_mtime)[:_NAMED_AT_MOST]]
