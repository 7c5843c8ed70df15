"""The tools for users' own tests, used as users would."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from rota import InvalidArgumentsError, Rota, State
from rota.testing import assert_not_submitted, assert_submitted, run_until_idle, submitted, temporary_store
from tests.unit.app.pizzeria import Order, app, bake, deliver

MITTE = Order("mitte", "funghi")


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
