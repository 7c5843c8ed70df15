"""What the tests with real processes share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.cluster import Cluster


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """A store and no node yet; everything that is started is dead at the end."""
    made = Cluster(tmp_path)
    yield made
    made.close()


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    """A file that handlers wait for; ``gate.touch()`` lets them go on."""
    return tmp_path / "gate"
