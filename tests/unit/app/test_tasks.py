"""What ``@app.task`` takes, what it refuses, and what stays of the function."""

from __future__ import annotations

import copy
import inspect
import pickle
from datetime import timedelta
from typing import Any

import pytest

import rota
from rota import Retry, Rota, TaskDefinitionError, UsageError
from tests.unit.app.pizzeria import Order, app, bake, close_up, deliver


def plain(order: Order, n: int = 1, *, hot: bool = False) -> str:
    return order.pizza


def other(order: Order) -> str:
    return order.pizza


def definition_error(function: Any = plain, **options: Any) -> str:
    """Return why a function with these options is refused."""
    with pytest.raises(TaskDefinitionError) as caught:
        Rota(":memory:").task(**options)(function)
    return str(caught.value)


def test_a_task_is_still_its_function() -> None:
    """Tests, scripts and other code go on calling it."""
    assert bake(Order("mitte", "funghi")) == "funghi for mitte"
    assert inspect.signature(bake) == inspect.signature(bake.__wrapped__)  # type: ignore[attr-defined]
    assert (bake.__name__, bake.__doc__, bake.__module__) == ("bake", "Bake a pizza.", "tests.unit.app.pizzeria")


@pytest.mark.parametrize("task", [bake, deliver])
def test_a_task_is_pickled_and_copied_as_functions_are(task: Any) -> None:
    """So that a pool of processes, or another thing that ships functions, takes it for a plain call."""
    assert pickle.loads(pickle.dumps(task)) is task
    assert copy.deepcopy(task) is task


async def test_an_async_task_is_still_its_coroutine_function() -> None:
    """A plain call is awaited as before."""
    assert await deliver(Order("mitte", "funghi")) == Order("mitte", "funghi")


def test_a_worker_is_told_what_it_must_know() -> None:
    """Name, queue, function, kind, policy, limit: nothing else travels to the worker."""
    spec = app.specs["bake"]

    assert (spec.queue, spec.is_async, spec.timeout_ms, spec.retry.attempts) == ("default", False, 120_000, 2)
    assert spec.decode(b'{"order":{"store":"m","pizza":"f"}}') == ((Order("m", "f"),), {})
    assert spec.encode_result("x") == b'"x"'
    assert app.specs["deliver"].is_async
    assert app.queues == ["default", "nights"]
    assert close_up.name == "close.up"
    assert app.task_named("close.up") is close_up


def test_an_app_s_own_queue_and_policy_hold_where_a_task_says_nothing() -> None:
    """So that they are written once."""
    shop = Rota(":memory:", queue="ovens", retry=Retry(attempts=7))
    shop.task(plain)
    shop.task(queue="doors", retry=Retry(attempts=1))(other)

    assert [(spec.queue, spec.retry.attempts) for spec in shop.specs.values()] == [("ovens", 7), ("doors", 1)]


def test_two_tasks_of_one_name_are_refused_naming_both_places() -> None:
    """Jobs are stored under the name; the second would silently get the jobs of the first."""
    shop = Rota(":memory:")
    shop.task(plain)

    with pytest.raises(TaskDefinitionError) as caught:
        shop.task(name="plain")(other)

    for function in (plain, other):
        assert f"{__file__}:{function.__code__.co_firstlineno}" in str(caught.value)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"name": ""}, "task name '': a name is needed"),
        ({"name": "x" * 300}, "has 300 bytes"),
        ({"queue": "a\tb"}, "queue 'a\\tb'"),
        ({"priority": 1_000}, "from -100 to 100"),
        ({"timeout": timedelta(0)}, "at least a millisecond"),
        ({"retry": 3}, "Write retry=Retry(attempts=3)"),
        ({"key": lambda order: order.store}, "its key rule takes (order), and is called with all arguments of plain("),
        ({"key": lambda: "x"}, "its key rule takes ()"),
        ({"key": "order"}, "Write a rule of the arguments: key=lambda order"),
        ({"key": ""}, "it is empty"),
        ({"key": 5}, "Wrap it in str()"),
    ],
)
def test_an_option_that_makes_no_sense_is_refused_at_definition(options: dict[str, Any], says: str) -> None:
    """At import, with the place."""
    assert says in definition_error(**options)


def test_an_async_key_rule_is_refused() -> None:
    """A key is needed before the job is stored."""

    async def rule(order: Order, n: int, *, hot: bool) -> str:
        return order.store

    assert "its key rule is async" in definition_error(key=rule)


def test_a_lambda_a_closure_and_a_second_decoration_are_refused() -> None:
    """Each with what to write instead."""

    def inner() -> None: ...

    assert "it is a lambda" in definition_error(lambda: None)
    assert "inside of another function" in definition_error(inner)
    assert "bake is a task already" in definition_error(bake)


def test_an_unknown_task_is_answered_with_a_close_one() -> None:
    """People type."""
    with pytest.raises(UsageError, match=r"no task 'bakee' \(did you mean 'bake'\?\)"):
        app.task_named("bakee")


def test_every_public_name_is_there_and_says_where_it_is_from() -> None:
    """Names are looked up late; each must lead somewhere."""
    for name in rota.__all__:
        assert getattr(rota, name).__name__ == name
    assert set(rota.__all__) <= set(dir(rota))
    with pytest.raises(AttributeError, match="no attribute 'Rotta'"):
        _ = rota.Rotta  # type: ignore[attr-defined]


def test_every_error_that_users_catch_is_public() -> None:
    """Whatever the docstrings of the public face name under Raises can be imported from the top."""
    faces = [rota.Token, rota.Rota, type(bake.options())]
    named = {
        line.strip().split(":")[0]
        for face in faces
        for _, member in inspect.getmembers(face, inspect.isfunction)
        for line in (inspect.getdoc(member) or "").partition("Raises:")[2].splitlines()
        if line.strip().split(":")[0].endswith("Error")
    }

    assert named
    assert {name for name in named if not hasattr(rota, name)} <= {"InvalidTokenError", "UnknownTaskError"}


def test_a_task_and_its_options_show_what_they_are() -> None:
    """In a debugger and in a message, an address in memory helps nobody."""
    shop = Rota(":memory:")
    task = shop.task(plain)

    assert repr(task) == "<task plain of queue default>"
    assert repr(task.options(priority=3, queue="ovens")) == "<task plain of queue ovens with priority=3>"
