"""Being somebody who may read a store and not write it: another user, or its owner without the right."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NOBODY = 65534


@contextmanager
def public_folder() -> Iterator[Path]:
    """Make a folder that every user may enter, unlike pytest's own."""
    folder = Path(tempfile.mkdtemp(prefix="rota-test-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        for path in [folder, *(found for found in folder.rglob("*") if found.is_dir())]:
            path.chmod(0o755)
        shutil.rmtree(folder)


@contextmanager
def only_reading(folder: Path) -> Iterator[None]:
    """Be one who may read what is in the folder, and write nothing there.

    The superuser may write everything, so it becomes somebody else meanwhile.
    """
    paths = [folder, *folder.iterdir()]
    before = {path: path.stat().st_mode for path in paths}
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(NOBODY)
    else:
        for path in paths:
            path.chmod(before[path] & ~0o222)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)
        else:
            for path, mode in before.items():
                if path.exists():
                    path.chmod(mode)
