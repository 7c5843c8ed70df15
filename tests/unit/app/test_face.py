"""What users hold, on a real store in memory: submit, look, wait, cancel; plainly and from async code."""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from rota import (
    ExpiredError,
    InvalidArgumentsError,
    JobCancelledError,
    JobExpiredError,
    JobFailedError,
    LimitError,
    NotAllowedError,
    ResultTimeoutError,
    Retry,
    Rota,
    State,
    TokenReusedError,
    UnknownTokenError,
    UsageError,
)
from rota.errors import InvalidTokenError, UnsupportedStoreError
from rota.model.token import token_text
from rota.runtime.entropy import SystemEntropy, build_token
from rota.testing import ManualClock, run_until_idle, run_until_idle_async, submitted, temporary_store
from tests.unit.app import pizzeria
from tests.unit.app.pizzeria import Order, app, bake, close_up, deliver, look, open_up, pack

MITTE = Order("mitte", "funghi")


@pytest.fixture(autouse=True)
def clock() -> Iterator[ManualClock]:
    """Every test has an empty store and a clock that stands still."""
    with temporary_store(app) as clock:
        yield clock


def test_a_job_goes_in_is_done_and_its_result_comes_out() -> None:
    """The first thing that anybody tries."""
    token = bake.submit(MITTE)
    assert token.status() is State.WAITING

    run_until_idle(app)

    assert token.status() is State.SUCCEEDED
    assert token.result() == "funghi for mitte"
    assert token.result(timeout=10) == "funghi for mitte"


async def test_the_same_from_async_code() -> None:
    """Each face has its twin, and a token can be awaited."""
    token = await deliver.submit_async(MITTE, tip=1)
    assert await token.status_async() is State.WAITING

    await run_until_idle_async(app)

    assert await token == MITTE
    assert await token.result_async(timeout=1) == MITTE
    assert (await token.info_async()).state is State.SUCCEEDED
    assert await token.cancel_async() is False


def test_a_result_has_the_type_of_its_annotation() -> None:
    """Also when the token comes as text from another process."""
    text = str(deliver.submit(MITTE, tip=1))
    run_until_idle(app)

    assert app.token(text).result() == MITTE
    assert app.token(UUID(text)).result() == MITTE
    assert Rota.token(app, text.upper().replace("-", "")).result() == MITTE


def test_a_token_is_its_text_and_nothing_else() -> None:
    """It is kept in sessions and databases as text."""
    token = bake.submit(MITTE)

    assert token == app.token(str(token))
    assert hash(token) == hash(app.token(str(token)))
    assert token != bake.submit(MITTE)
    assert repr(token) == f"Token('{token}')"
    assert UUID(str(token)).bytes == bytes(token)
    with pytest.raises(UsageError, match="is not pickled"):
        pickle.dumps(token)


def test_a_wrong_argument_is_refused_and_nothing_is_written() -> None:
    """Neither the plain way in, nor a batch of which one is wrong, leaves anything behind."""
    with pytest.raises(InvalidArgumentsError, match=r"Expected str, got int - at \$\.order\.store"):
        bake.submit(Order(5, "funghi"))  # type: ignore[arg-type]
    with pytest.raises(InvalidArgumentsError, match="job 1 of the batch, counted from 0: task bake") as caught:
        bake.submit_many([MITTE, 5])  # type: ignore[list-item]

    assert caught.value.facts["index"] == 1
    assert submitted(app) == []


def test_a_batch_is_one_commit_and_tokens_come_in_order() -> None:
    """The caller pairs them with what it put in."""
    orders = [Order("mitte", name) for name in ("funghi", "verdure", "napoli")]

    tokens = bake.submit_many(orders)
    run_until_idle(app)

    assert [token.result() for token in tokens] == [f"{order.pizza} for mitte" for order in orders]
    assert tokens == sorted(tokens, key=str)
    assert bake.submit_many([]) == []


def test_a_batch_takes_calls_for_any_task() -> None:
    """A task of several arguments needs more than one value a job."""
    tokens = pack.submit_many([pack.call("a", "b"), pack.call("c", right="d", count=2)])
    tokens += close_up.submit_many([close_up.call()])  # type: ignore[arg-type]
    run_until_idle(app)

    assert [token.result() for token in tokens] == ["1xa+b", "2xc+d", None]
    with pytest.raises(UsageError, match=r"Write pack.call\(…\) for each job"):
        pack.submit_many(["a"])  # type: ignore[list-item]
    with pytest.raises(UsageError, match=r"Write close.up.call\(…\)"):
        close_up.submit_many(["a"])  # type: ignore[list-item]
    for single in (MITTE, "abc", {"order": 5}):
        with pytest.raises(UsageError, match="submit_many takes a list with an entry for each job"):
            bake.submit_many(single)  # type: ignore[arg-type]


def test_a_batch_over_the_limit_is_refused() -> None:
    """It would hold up everybody else."""
    with pytest.raises(LimitError, match="10,001 jobs in one submit_many"):
        pack.submit_many([pack.call("a", "b")] * 10_001)


def test_the_key_comes_from_the_rule_unless_an_option_says_otherwise() -> None:
    """The rule sees the arguments as the handler will, with defaults."""
    bake.submit(MITTE)
    bake.options(key="nord").submit(MITTE)
    bake.options(key=None).submit(MITTE)
    bake.submit({"store": "süd", "pizza": "x"})  # type: ignore[arg-type]

    assert [job.key for job in submitted(app)] == ["mitte", "nord", None, "süd"]


def test_a_key_rule_that_fails_stops_the_submit() -> None:
    """A job in the wrong line, or in none, would be worse."""
    shop = Rota(":memory:")
    bad = shop.task(key=lambda order: order.nothing)(pizzeria.bake.__wrapped__)  # type: ignore[attr-defined]
    with temporary_store(shop):
        with pytest.raises(InvalidArgumentsError, match="its key rule raised AttributeError"):
            bad.submit(MITTE)
        assert submitted(shop) == []


def test_delayed_jobs_wait_for_their_time(clock: ManualClock) -> None:
    """By delay or by instant; in a test one moves the clock."""
    later = bake.options(delay=timedelta(hours=1)).submit(MITTE)
    at = bake.options(at=clock.now() + timedelta(hours=2)).submit(MITTE)
    run_until_idle(app)
    assert (later.status(), at.status()) == (State.SCHEDULED, State.SCHEDULED)
    assert "It is scheduled for 2026-01-01 01:00:00 UTC, in 1 h" in str(later.info().why)

    clock.advance(timedelta(hours=1))
    run_until_idle(app)

    assert (later.status(), at.status()) == (State.SUCCEEDED, State.SCHEDULED)


def test_options_add_up_and_leave_the_task_as_it_was() -> None:
    """They are a view of the task, made as often as one likes."""
    urgent = bake.options(priority=9)
    urgent.options(queue="nights").submit(MITTE)
    urgent.submit(MITTE)
    bake.submit(MITTE)

    assert [(job.queue, job.priority) for job in submitted(app)] == [("nights", 9), ("default", 9), ("default", 0)]
    assert (close_up.submit().info().queue, close_up.submit().info().priority) == ("nights", -5)


def test_the_same_token_twice_is_one_job() -> None:
    """A web request that is repeated must not bake two pizzas."""
    text = token_text(SystemEntropy(app._clock).token())

    first = bake.options(token=text).submit(MITTE)
    again = bake.options(token=UUID(text)).submit(order=MITTE)
    run_until_idle(app)
    settled = bake.options(token=first).submit(MITTE)

    assert first == again == settled
    assert len(submitted(app)) == 1
    with pytest.raises(TokenReusedError):
        bake.options(token=text).submit(Order("mitte", "verdure"))


def test_what_is_no_token_is_refused() -> None:
    """Before the store is asked."""
    with pytest.raises(InvalidTokenError, match="is not a token"):
        app.token("nonsense")
    with pytest.raises(InvalidTokenError, match="version 4"):
        bake.options(token=UUID("a3bb189e-8bf9-4888-9912-ace4e6543002"))
    with pytest.raises(InvalidTokenError, match="5 is not a token"):
        app.token(5)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="names one job, and the batch has 2"):
        bake.options(token="0198c2f1-7b3a-7cc0-8000-3d2f5e6a7b8c").submit_many([MITTE, MITTE])


def test_a_failure_is_retried_and_then_told_to_whoever_waits(clock: ManualClock) -> None:
    """With type, message and traceback of the handler's error, and every attempt in its story."""
    token = bake.submit(Order("mitte", "burnt"))
    run_until_idle(app)
    assert token.status() in (State.SCHEDULED, State.WAITING)

    clock.advance(timedelta(seconds=2))
    run_until_idle(app)

    with pytest.raises(JobFailedError, match="failed for good after 2 attempts: ValueError: too hot") as caught:
        token.result()
    error = caught.value
    assert (error.error_type, error.error_message, error.attempts, error.token) == (
        "ValueError",
        "too hot",
        2,
        str(token),
    )
    assert 'raise ValueError("too hot")' in error.traceback
    info = token.info()
    assert [entry.kind for entry in info.story] == ["failed", "failed"]
    assert [entry.worker for entry in info.story] == ["test/1", "test/1"]
    assert info.worker == "test/1"
    assert info.error is not None
    assert info.error.message == "too hot"


def test_a_handler_may_fail_its_job_for_good_or_put_it_off(clock: ManualClock) -> None:
    """Neither is an error of the code."""
    failed = bake.submit(Order("mitte", "pineapple"))
    snowed = deliver.submit(Order("snow", "funghi"))
    run_until_idle(app)

    with pytest.raises(JobFailedError, match="not here"):
        failed.result()
    assert snowed.status() is State.SCHEDULED
    assert (snowed.info().attempts, snowed.info().story) == (0, ())
    assert snowed.cancel() is True


def test_retry_can_be_set_for_one_job() -> None:
    """The rest of the task's jobs keep their policy."""
    token = bake.options(retry=Retry(attempts=1)).submit(Order("mitte", "burnt"))
    run_until_idle(app)

    with pytest.raises(JobFailedError, match="after 1 attempt:"):
        token.result()


def test_a_cancelled_job_does_not_run_and_has_no_result() -> None:
    """Cancelling again, or too late, does nothing."""
    token, done = bake.submit(MITTE), bake.options(key=None).submit(MITTE)

    assert token.cancel() is True
    run_until_idle(app)

    assert token.cancel() is False
    assert done.cancel() is False
    with pytest.raises(JobCancelledError, match="was cancelled"):
        token.result()


def test_what_did_not_succeed_is_put_back(clock: ManualClock) -> None:
    """As `rota retry TOKEN` does: a dead letter whose cause has gone, a cancel that was a mistake, an order that came late."""
    dead = bake.options(retry=Retry(attempts=1)).submit(Order("mitte", "burnt"))
    dropped, late = bake.submit(MITTE), bake.options(expires=1).submit(MITTE)
    dropped.cancel()
    clock.advance(2)
    run_until_idle(app)
    assert app.states([dead, dropped, late]) == [State.FAILED, State.CANCELLED, State.EXPIRED]

    clock.advance(1)
    for token in (dead, dropped, late):
        assert token.retry() is True
        assert token.retry() is False  # the reply was lost: it is in line already
        assert token.status() is State.WAITING

    run_until_idle(app)
    assert app.states([dead, dropped, late]) == [State.FAILED, State.SUCCEEDED, State.SUCCEEDED]
    assert dead.info().attempts == 1
    assert "reopened" in [entry.kind for entry in dead.info().story]
    with pytest.raises(NotAllowedError, match=f"job {dropped} has succeeded: only a failed"):
        dropped.retry()
    assert dropped.status() is State.SUCCEEDED


async def test_putting_back_from_async_code() -> None:
    """Each face has its twin."""
    token = await bake.submit_async(MITTE)
    assert await token.retry_async() is False
    await token.cancel_async()

    assert await token.retry_async() is True
    assert await app.states_async([token]) == [State.WAITING]


def test_many_states_are_one_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page that lists a hundred orders does not ask a hundred times; what is unknown keeps its place in the list."""
    monkeypatch.setattr("rota.app.rota.BATCH_JOBS_MAX", 2)
    done, waiting = bake.submit(MITTE), bake.options(delay=60).submit(MITTE)
    run_until_idle(app)
    unknown = token_text(build_token(1_767_225_600_000, 1))

    states = app.states(token for token in (waiting, unknown, str(done), UUID(str(waiting)), done))

    assert states == [State.SCHEDULED, None, State.SUCCEEDED, State.SCHEDULED, State.SUCCEEDED]
    assert app.states([]) == []
    with pytest.raises(UsageError, match=r"token\.status\(\) tells the state"):
        app.states(str(done))
    with pytest.raises(InvalidTokenError):
        app.states(["nonsense"])


def test_a_job_that_comes_too_late_is_dropped(clock: ManualClock) -> None:
    """Nobody wants yesterday's pizza."""
    token = bake.options(expires=timedelta(minutes=30)).submit(MITTE)
    clock.advance(timedelta(hours=1))
    run_until_idle(app)

    with pytest.raises(JobExpiredError, match="was not started before it expired"):
        token.result()


def test_waiting_has_a_limit_and_the_job_goes_on() -> None:
    """The error says how the job stands."""
    token = bake.submit(MITTE)

    with pytest.raises(ResultTimeoutError, match=r"is waiting and was not settled within 0 s\. It goes on"):
        token.result(timeout=0)
    with pytest.raises(TimeoutError):
        token.result(timeout=timedelta(milliseconds=2))
    with pytest.raises(LimitError):
        token.result(timeout=-1)


async def test_waiting_from_async_code_has_a_limit_too() -> None:
    """And the store is still usable after it."""
    token = await bake.submit_async(MITTE)

    with pytest.raises(ResultTimeoutError):
        await token.result_async(timeout=0.001)
    assert await token.status_async() is State.WAITING


def test_a_token_that_no_job_has_is_unknown_or_too_old(clock: ManualClock) -> None:
    """It tells its own age."""
    now_ms = clock.now_us() // 1_000
    young = app.token(token_text(build_token(now_ms, 1)))
    old = app.token(token_text(build_token(now_ms - 10 * 86_400_000, 1)))

    for ask in (young.status, young.result, young.cancel, young.retry, young.info):
        with pytest.raises(UnknownTokenError, match="no job has the token"):
            ask()
    for ask in (old.status, old.result, old.cancel, old.retry, old.info):
        with pytest.raises(ExpiredError, match="submitted 10 days ago"):
            ask()


async def test_in_a_running_loop_a_blocking_wait_is_refused() -> None:
    """It would stop the loop that the job may need; a submit is quick and allowed."""
    token = bake.submit(MITTE)

    with pytest.raises(UsageError, match="Write `await token`"):
        token.result()
    with pytest.raises(UsageError, match="await run_until_idle_async"):
        run_until_idle(app)
    assert token.status() is State.WAITING


def test_a_job_may_submit_jobs() -> None:
    """They are done in the same run until there is nothing left."""
    token = open_up.submit(["funghi", "verdure"])
    run_until_idle(app)

    assert [app.token(text).result() for text in token.result()] == ["funghi for mitte", "verdure for mitte"]


def test_a_handler_knows_its_own_job() -> None:
    """Its fence is what protects the user's own database."""
    token = look.submit()
    run_until_idle(app)

    assert token.result() == {"attempt": 1, "fence": 1, "task": "look", "token": str(token)}


def test_info_tells_what_a_waiting_job_waits_for() -> None:
    """Without a worker, that is the first thing to say."""
    first, second = bake.submit(MITTE), bake.submit(MITTE)

    info = second.info()

    assert (info.state, info.key, info.task, info.queue) == (State.WAITING, "mitte", "bake", "default")
    assert info.arguments == {"order": {"store": "mitte", "pizza": "funghi"}}
    assert info.submitted_at == datetime(2026, 1, 1, tzinfo=UTC)
    assert info.why == "No worker is running; `rota run MODULE:APP` starts some."
    assert first.info().result is None


def test_an_app_that_is_closed_opens_again(tmp_path: Path) -> None:
    """Closing is for the end of a test or a process, and is safe to do twice."""
    shop = Rota(tmp_path / "shop.db")
    task = shop.task(bake.__wrapped__)  # type: ignore[attr-defined]
    token = task.submit(MITTE)

    shop.close()
    shop.close()

    assert token.status() is State.WAITING
    shop.close()


@pytest.mark.parametrize("kind", ["a device", "a pipe"])
def test_what_is_no_file_is_no_store(tmp_path: Path, kind: str) -> None:
    """SQLite would report it as a broken disk, and whoever reads that looks for another one."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    astray = Rota("/dev/null" if kind == "a device" else path)

    with pytest.raises(UnsupportedStoreError, match="is a device, a pipe or a socket, and a store is a file"):
        astray.states([token_text(build_token(1_767_225_600_000, 1))])
    assert [file.name for file in tmp_path.iterdir()] == ["pipe"]
