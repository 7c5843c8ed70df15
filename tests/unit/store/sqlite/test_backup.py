"""A copy is complete, or it is not there."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from rota.errors import NotAllowedError, StoreUnavailableError
from rota.model.job import NewJob
from rota.model.state import State
from rota.store.sqlite import backup
from tests.unit.store.sqlite.conftest import Opener
from tests.unit.store.sqlite.inline import at_once


def test_two_that_write_the_same_copy_at_once_do_not_mix(
    open_store: Opener, tmp_path: Path, new_job: Callable[..., NewJob], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two schedulers fire at the same minute: the copy that is there in the end is a whole one."""
    monkeypatch.setattr(backup, "PAGES_A_STEP", 1)
    one, other = open_store(), open_store()
    jobs = [new_job() for _ in range(50)]
    at_once(one.inline().submit(jobs))
    copy = str(tmp_path / "copy.db")

    def begin_another(_left: int, _total: int) -> None:
        if not os.path.exists(copy):
            at_once(other.inline().backup(copy, lambda left, total: None))

    with pytest.raises(NotAllowedError, match="exists"):
        at_once(one.inline().backup(copy, begin_another))

    found = at_once(open_store(copy).inline().states([job.token for job in jobs]))
    assert set(found.values()) == {State.WAITING}
    assert len(found) == 50
    assert [name for name in os.listdir(tmp_path) if "partial" in name] == []


def test_a_folder_that_may_not_be_written_is_told(open_store: Opener, tmp_path: Path) -> None:
    """By an error of ours, with the name of what was to be written."""
    with pytest.raises(StoreUnavailableError, match="copy"):
        at_once(open_store().inline().backup(str(tmp_path / "nowhere" / "copy.db")))
