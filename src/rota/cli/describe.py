"""Asking an app what it is, in a process of its own: so its code runs neither here nor in the keeper of its node."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass

from rota.cli.exits import Exit, stop

CHILD = "rota.app.describe"


@dataclass(frozen=True, slots=True)
class Description:
    """What an app says of itself.

    Attributes:
        store: Its store's address.
        queues: The queues that its tasks name.
        tasks: Its tasks' names.
    """

    store: str
    queues: tuple[str, ...]
    tasks: tuple[str, ...]


def describe(app: str) -> Description:
    """Return what the app of this name, ``module:name``, says of itself.

    What its module prints goes to stderr, where it would have gone without us.

    Raises:
        Stop: It cannot be imported, or has no such app.
    """
    done = subprocess.run([sys.executable, "-m", CHILD, app], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        stop(Exit.CONFIG, done.stderr.strip())
    said = json.loads(done.stdout.splitlines()[-1])
    sys.stderr.write(done.stderr)
    return Description(said["store"], tuple(said["queues"]), tuple(said["tasks"]))
