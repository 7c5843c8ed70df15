"""What an app is, as JSON: ``python -m rota.app.describe shop:app``.

Run as a short-lived child, so that nodes and the command line never import user code to find out::

    {"store": "/srv/shop.db", "queues": ["default"], "tasks": ["bake"], "retention_days": 7.0}

The store's address means the same in every folder and holds its password, if it has one: for a pipe, not for a log. Errors
go to stderr, with exit code 78 (configuration), or 2 when the command itself is wrong.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import msgspec

from rota.app.load import load_app
from rota.app.rota import Rota
from rota.errors import ConfigError, RotaError

_USAGE = 2
_CONFIG = 78


def describe(app: Rota) -> dict[str, Any]:
    """Return what a node must know of an app before it starts workers."""
    return {
        "store": app.address.absolute(),
        "queues": app.queues,
        "tasks": sorted(app.tasks),
        "retention_days": app.config.retention_days,
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
    except ConfigError as error:
        print(error, file=sys.stderr)
        if error.__cause__ is not None and not isinstance(error.__cause__, (RotaError, ModuleNotFoundError)):
            print(f"  caused by {type(error.__cause__).__name__}: {error.__cause__}", file=sys.stderr)
        return _CONFIG
    except RotaError as error:
        print(error, file=sys.stderr)
        return _CONFIG
    os.write(out, msgspec.json.encode(said) + b"\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
