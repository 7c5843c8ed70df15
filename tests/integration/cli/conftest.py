"""Folders in which `rota` is called: an empty one, and one with a day's work in its store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.cli.shop import Folder, WarmRota, a_day_in_the_shop


@pytest.fixture(scope="session")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WarmRota]:
    """What carries out the calls."""
    rota = WarmRota(tmp_path_factory.mktemp("warm"))
    yield rota
    rota.close()


@pytest.fixture
def empty(tmp_path: Path, warm: WarmRota) -> Folder:
    """A folder with nothing in it."""
    return Folder(tmp_path, warm)


@pytest.fixture
def shop(tmp_path: Path, warm: WarmRota) -> Folder:
    """A folder with a store that holds a job of every state."""
    folder = Folder(tmp_path, warm)
    folder.seed(a_day_in_the_shop)
    return folder
