"""The tools for users' own tests, used as users would."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from rota import InvalidArgumentsError, ResultTimeoutError, Rota, State, UsageError
from rota.store.port import Claim, Settled
from rota.store.sqlite.store import SqliteStore
from rota.testing import assert_not_submitted, assert_submitted, run_until_idle, submitted, temporary_store
from tests.unit.app.pizzeria import Order, app, bake, deliver

MITTE = Order("mitte", "funghi")
kitchen = Rota(":memory:")


@kitchen.task
def half() -> int:
    """Do one half."""
    return 1


@kitchen.task
def both_halves() -> int:
    """Wait for two jobs, without a limit."""
    return sum(token.result() for token in (half.submit(), half.submit()))


def test_a_temporary_store_is_empty_and_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests must not see each other's jobs, and none may touch the real store."""
    monkeypatch.chdir(tmp_path)
    shop = Rota("shop.db")
    task = shop.task(bake.__wrapped__)  # type: ignore[attr-defined]

    with temporary_store(shop):
        task.submit(MITTE)
        assert len(submitted(shop)) == 1
    with temporary_store(shop):
        assert submitted(shop) == []

    assert list(tmp_path.iterdir()) == []
    assert shop.config.store == "shop.db"


def test_the_clock_starts_where_it_is_told() -> None:
    """Some handlers care about the day."""
    with temporary_store(app, start=datetime(2030, 2, 28, tzinfo=UTC)) as clock:
        assert bake.submit(MITTE).info().submitted_at == datetime(2030, 2, 28, tzinfo=UTC)
        assert clock.now() == datetime(2030, 2, 28, tzinfo=UTC)


def test_the_app_s_own_store_comes_back_after_an_error() -> None:
    """A failing test must not spoil the next."""
    own = app.config.store
    with pytest.raises(ZeroDivisionError), temporary_store(app):
        _ = 1 / 0

    assert app.config.store == own


def test_what_was_submitted_can_be_asserted() -> None:
    """By arguments as the handler gets them: defaults and names do not matter."""
    with temporary_store(app):
        deliver.options(key="nord").submit(order=MITTE)

        job = assert_submitted(deliver, MITTE, tip=0)

        assert (job.key, job.state) == ("nord", State.WAITING)
        assert_not_submitted(bake)


def test_a_wrong_assertion_says_what_was_submitted() -> None:
    """The difference is what one needs to see."""
    with temporary_store(app):
        bake.submit(MITTE)
        bake.submit(MITTE)

        with pytest.raises(AssertionError, match="no job was submitted to bake with") as caught:
            assert_submitted(bake, Order("nord", "funghi"))
        assert '"store":"mitte"' in str(caught.value)
        with pytest.raises(AssertionError, match="2 jobs were submitted to bake"):
            assert_submitted(bake, MITTE)
        with pytest.raises(AssertionError, match="2 jobs were submitted to bake:"):
            assert_not_submitted(bake)
        with pytest.raises(AssertionError, match="There are:\n  none"):
            assert_submitted(deliver, MITTE)
        with pytest.raises(InvalidArgumentsError):
            assert_submitted(bake, "mitte")  # type: ignore[arg-type]


def test_finished_jobs_are_listed_too() -> None:
    """In the order in which they were submitted."""
    with temporary_store(app):
        first, second = bake.submit(MITTE), bake.submit(Order("nord", "verdure"))
        run_until_idle(app)

        jobs = submitted(app)

        assert [job.token for job in jobs] == [str(first), str(second)]
        assert [job.result for job in jobs] == ["funghi for mitte", "verdure for nord"]
        assert [len(submitted(app, task)) for task in (bake, deliver)] == [2, 0]


def test_nothing_of_the_worker_is_left_after_a_run() -> None:
    """A later run must not think that somebody else is there."""
    with temporary_store(app):
        run_until_idle(app)
        token = bake.submit(MITTE)

        assert token.info().why == "No worker is running; `rota run MODULE:APP` starts some."


def test_jobs_in_a_queue_that_no_task_names_are_done_too() -> None:
    """A test wants them done, wherever they are."""
    with temporary_store(app):
        token = bake.options(queue="elsewhere").submit(MITTE)
        run_until_idle(app, concurrency=1)

        assert token.result() == "funghi for mitte"


parents = Rota(":memory:")


@parents.task
def double(number: int) -> int:
    return 2 * number


@parents.task
async def double_elsewhere(number: int) -> int:
    return await (await double.submit_async(number))


@parents.task
def double_in_a_thread(number: int) -> int:
    return double.submit(number).result(timeout=60)


def test_a_job_may_wait_for_one_that_it_has_submitted() -> None:
    """As with a node: while one waits, the other is run."""
    with temporary_store(parents):
        tokens = [double_elsewhere.submit(4), double_in_a_thread.submit(5)]
        run_until_idle(parents)

        assert [token.result() for token in tokens] == [8, 10]


@parents.task
async def last_moment() -> str:
    """End just when the worker looks whether there is anything left."""
    await _looked.wait()
    return "done"


_looked = asyncio.Event()


def test_a_job_that_ends_during_the_last_look_is_settled_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """The look finds nothing to do, nothing runs any more after it, and yet there is something left."""
    claim, settle = SqliteStore.claim, SqliteStore.settle

    async def turns(count: int) -> None:
        for _ in range(count):
            await asyncio.sleep(0)

    async def claim_and_see_it_end(store: SqliteStore, *args: Any, **more: Any) -> Claim:
        claimed = await claim(store, *args, **more)
        if not claimed.jobs:
            _looked.set()
            await turns(20)
        return claimed

    async def settle_later(store: SqliteStore, *args: Any, **more: Any) -> Settled:
        await turns(40)
        return await settle(store, *args, **more)

    monkeypatch.setattr(SqliteStore, "claim", claim_and_see_it_end)
    monkeypatch.setattr(SqliteStore, "settle", settle_later)
    with temporary_store(parents):
        token = last_moment.submit()
        run_until_idle(parents)

        assert token.status() is State.SUCCEEDED


@pytest.mark.parametrize("wrong", [3, None, "shop:app", bake, Rota])
def test_what_is_no_app_is_told_by_name_and_value(wrong: Any) -> None:
    """An AttributeError about a private name says nothing to whoever swapped two arguments."""
    says = re.escape(repr(wrong))

    with pytest.raises(TypeError, match=rf"temporary_store\(\): an app is needed.*{says}"), temporary_store(wrong):
        pass
    with pytest.raises(TypeError, match=rf"run_until_idle\(\): an app is needed.*{says}"):
        run_until_idle(wrong)
    with pytest.raises(TypeError, match=rf"submitted\(\): an app is needed.*{says}"):
        submitted(wrong)


@pytest.mark.parametrize("wrong", [3, "bake", app, bake.__wrapped__])  # type: ignore[attr-defined]
def test_what_is_no_task_is_told_by_name_and_value(wrong: Any) -> None:
    """The function that a task was made of is the usual slip."""
    says = re.escape(repr(wrong))

    with temporary_store(app):
        with pytest.raises(TypeError, match=rf"assert_submitted\(\): a task is needed.*{says}"):
            assert_submitted(wrong, MITTE)
        with pytest.raises(TypeError, match=rf"assert_not_submitted\(\): a task is needed.*{says}"):
            assert_not_submitted(wrong)
        with pytest.raises(TypeError, match=rf"submitted\(\): a task is needed.*{says}"):
            submitted(app, wrong)


def test_a_result_that_nobody_works_for_is_refused_instead_of_waited_for() -> None:
    """Who forgets to run the jobs must see that, and not a test that hangs."""
    with temporary_store(app) as clock:
        token = bake.options(delay=60).submit(MITTE)
        for state in ("scheduled", "waiting"):
            with pytest.raises(UsageError, match=rf"{token} is {state}, and nobody works .*run_until_idle\(app\)"):
                token.result()
            clock.advance(60)
        with pytest.raises(ResultTimeoutError):
            token.result(timeout=0)

        run_until_idle(app)

        assert token.result() == "funghi for mitte"


def test_a_handler_that_waits_for_another_job_is_worked_for() -> None:
    """The worker that runs it runs the other, too."""
    with temporary_store(kitchen):
        token = both_halves.submit()
        run_until_idle(kitchen)

        assert token.result() == 2


def test_without_a_hand_nothing_would_be_run() -> None:
    """A run that does nothing and says nothing would make a test green that proves nothing."""
    with temporary_store(app):
        bake.submit(MITTE)
        for none in (0, -1):
            with pytest.raises(ValueError, match="at least 1 is needed"):
                run_until_idle(app, concurrency=none)
        for wrong in ("8", 1.5, True, None):
            with pytest.raises(TypeError, match="a whole number is needed"):
                run_until_idle(app, concurrency=wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("start", [datetime(2030, 2, 28), date(2030, 2, 28), "2030-02-28"])
def test_a_clock_starts_at_an_instant_with_a_time_zone(start: Any) -> None:
    """A naive one would mean another instant on another machine."""
    with pytest.raises(UsageError, match=r"start=.*time zone"), temporary_store(app, start=start):
        pass
