"""What an app is, as JSON: ``python -m rota.app.describe shop:app``.

Run as a short-lived child, so that nodes and the command line never import user code to find out::

    {"store": "/srv/shop.db", "queues": ["default"], "tasks": ["bake"], "retention_days": 7.0, "settings": {}}

The store's address means the same in every folder and holds its password, if it has one: for a pipe, not for a log. Errors
go to stderr, with exit code 78 (configuration), 2 when the command itself is wrong, or 130 when it was interrupted.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import msgspec

from rota.app.load import load_app
from rota.app.rota import Rota
from rota.errors import RotaError

_USAGE = 2
_CONFIG = 78
_INTERRUPTED = 130


def describe(app: Rota) -> dict[str, Any]:
    """Return what a node must know of an app before it starts workers."""
    return {
        "store": app.address.absolute(),
        "queues": app.queues,
        "tasks": sorted(app.tasks),
        "retention_days": app.config.retention_days,
        "settings": app.settings,
    }


def main(arguments: list[str]) -> int:
    """Print the description of the app that is named; return the exit code."""
    if len(arguments) != 1:
        print("usage: python -m rota.app.describe MODULE:APP", file=sys.stderr)
        return _USAGE
    out = os.dup(1)
    os.dup2(2, 1)  # what the module prints when it is imported must not end up in the JSON
    try:
        said = describe(load_app(arguments[0]))
    except RotaError as error:
        print(error, file=sys.stderr)
        return _CONFIG
    except KeyboardInterrupt:
        return _INTERRUPTED
    os.write(out, msgspec.json.encode(said) + b"\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
