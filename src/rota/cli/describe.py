"""Asking an app what it is, in a process of its own: so its code runs neither here nor in the keeper of its node."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from rota.cli.exits import Exit, stop
from rota.cli.output import say

CHILD = "rota.app.describe"


@dataclass(frozen=True, slots=True)
class Description:
    """What an app says of itself.

    Attributes:
        store: Its store's address.
        queues: The queues that its tasks name.
        tasks: Its tasks' names.
        retention_days: How long its finished jobs are kept.
        settings: How it wants its store opened.
    """

    store: str
    queues: tuple[str, ...]
    tasks: tuple[str, ...]
    retention_days: float
    settings: Mapping[str, Any]


def describe(app: str) -> Description:
    """Return what the app of this name, ``module:name``, says of itself.

    Raises:
        Stop: It cannot be imported, or has no such app.
    """
    done = subprocess.run([sys.executable, "-m", CHILD, app], capture_output=True, text=True, check=False)
    if done.returncode in (Exit.INTERRUPTED, -signal.SIGINT):
        stop(Exit.INTERRUPTED, f"interrupted while {app} was imported.")
    if done.returncode != 0:
        _refuse(app, done.returncode, done.stderr)
    if printed := done.stderr.strip():
        say(printed)
    said = json.loads(done.stdout)
    return Description(
        said["store"], tuple(said["queues"]), tuple(said["tasks"]), said["retention_days"], said.get("settings", {})
    )


def _refuse(app: str, code: int, printed: str) -> NoReturn:
    """End with what the child said; what the app's module printed before is passed on as it is.

    Raises:
        Stop: Always.
    """
    before, mark, reason = printed.partition("[ROTA-")
    if before.strip():
        say(before.rstrip())
    if mark:
        stop(Exit.CONFIG, f"{mark}{reason.strip()}")
    how = f"was ended by {_signal_name(-code)}" if code < 0 else f"ended with code {code}"
    module = app.partition(":")[0]
    stop(Exit.CONFIG, f"importing {app} {how}.", f"Import it by hand to see why: {sys.executable} -c 'import {module}'")


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
