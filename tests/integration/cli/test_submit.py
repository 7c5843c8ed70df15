"""`rota submit`, with an app and without."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from tests.integration.cli.shop import Folder


def test_arguments_without_an_app_are_stored_as_they_are(empty: Folder) -> None:
    """Said so, and any JSON object will do."""
    said = empty.rota("submit", "bake", '{"order": {"pizza": "tonno"}}', "--key", "mitte", "--queue", "ovens")
    token = said.out.strip()

    assert said.code == 0
    assert "unchecked" in said.err
    job = empty.rota("job", token, "--json").object
    assert (job["payload"], job["key"], job["queue"]) == ({"order": {"pizza": "tonno"}}, "mitte", "ovens")


@pytest.mark.parametrize(
    "arguments", ["[1]", "3", "null", "order=1", "{", "", '{"price": NaN}', '{"name": "\\ud800"}', "[" * 5_000]
)
def test_arguments_that_are_no_object_are_refused(empty: Folder, arguments: str) -> None:
    """Nothing is written, not even a store."""
    said = empty.rota("submit", "bake", arguments)

    assert said.code == 2
    assert "Nothing was written" in said.err
    assert list(empty.path.iterdir()) == []


def test_an_app_checks_arguments_and_applies_its_key_rule(empty: Folder) -> None:
    """The same job as `bake.submit(…)` makes."""
    empty.write_app()
    words = ("--app", "shop:app")
    fine = empty.rota("submit", "bake", '{"order": {"store": "mitte", "pizza": "funghi"}}', *words, "--json").object
    wrong = empty.rota("submit", "bake", '{"order": {"store": 3, "pizza": "funghi"}}', *words)
    unknown = empty.rota("submit", "bkae", "{}", *words)
    deep = empty.rota("submit", "bake", '{"order": ' + "[" * 5_000, *words)
    letter = empty.rota("submit", "write", '{"to": "anna"}', *words, "--key", "post", "--json").object

    assert (fine["key"], fine["queue"], fine["checked"], fine["duplicate"]) == ("mitte", "default", True, False)
    assert wrong.code == 2
    assert "$.order.store" in wrong.err
    assert deep.code == 2
    assert "nested too deep" in deep.err
    assert unknown.code == 3
    assert "'bake'" in unknown.err
    assert (letter["key"], letter["queue"]) == ("post", "letters")
    assert (empty.path / "shop.db").exists()


def test_submitting_twice_with_one_token_is_a_no_op(empty: Folder) -> None:
    """And with other arguments a conflict: 4."""
    first = empty.rota("submit", "bake", '{"a":1}').out.strip()
    again = empty.rota("submit", "bake", '{"a": 1}', "--token", first)
    other = empty.rota("submit", "bake", '{"a": 2}', "--token", first)

    assert (again.code, again.out.strip()) == (0, first)
    assert "nothing was done" in again.err
    assert other.code == 4


def test_options_of_a_submit_reach_the_store(empty: Folder) -> None:
    """Delay, instant, priority; arguments from stdin."""
    later = empty.rota("submit", "bake", "-", "--delay", "1h", "--priority", "7", typed='{"a": 1}').out.strip()
    job = empty.rota("job", later, "--json").object

    assert (job["state"], job["priority"], job["payload"]) == ("scheduled", 7, {"a": 1})
    at = empty.rota("submit", "bake", "{}", "--at", "2030-01-01T00:00+00:00").out.strip()
    assert empty.rota("job", at, "--json").object["due_at"] == "2030-01-01T00:00:00.000000Z"
    assert empty.rota("submit", "bake", "{}", "--delay", "1h", "--at", "2030-01-01T00:00+00:00").code == 2
    assert empty.rota("submit", "bake", "{}", "--delay", "soon").code == 2
    assert "'--delay': '-5' is no duration" in empty.rota("submit", "bake", "{}", "--delay", "-5").err
    assert empty.rota("submit", "bake", "{}", "--priority", "101").code == 2


@pytest.mark.parametrize("checked", [(), ("--app", "shop:app")])
def test_a_job_that_is_not_wanted_later_says_so(empty: Folder, checked: tuple[str, ...]) -> None:
    """`--expires` is what `options(expires=…)` is: a time from now, or an instant; with an app and without."""
    empty.write_app()
    order = '{"order": {"store": "mitte", "pizza": "funghi"}}'
    soon = empty.rota("submit", "bake", order, "--expires", "2h", "--delay", "1h", *checked).out.strip()
    then = empty.rota("submit", "bake", order, "--expires", "2030-01-01T00:00Z", "--delay", "1h", *checked).out.strip()

    job = empty.rota("job", soon, "--json", *checked).object
    due, expires = (datetime.fromisoformat(job[name]) for name in ("due_at", "expires_at"))
    assert expires - due == timedelta(hours=1)
    assert empty.rota("job", then, "--json", *checked).object["expires_at"] == "2030-01-01T00:00:00.000000Z"
    refused = empty.rota("submit", "bake", order, "--expires", "soon", *checked)
    assert (refused.code, "neither a duration nor an instant" in refused.err) == (2, True)


def test_a_task_that_nobody_knows_is_stored_and_noted(shop: Folder) -> None:
    """It may be new; it may be misspelt."""
    said = shop.rota("submit", "bkae", "{}")

    assert said.code == 0
    assert "Did you mean 'bake'?" in said.err
    assert f"rota cancel {said.out.strip()}" in said.err


def test_a_queue_that_nobody_knows_is_made_and_noted(shop: Folder) -> None:
    """No worker serves a misspelt one: the job would wait for ever, and nobody would know why."""
    said = shop.rota("submit", "write", "{}", "--queue", "lettres")

    assert said.code == 0
    assert "knows a queue 'lettres'. Did you mean 'letters'?" in said.err
    assert f"rota cancel {said.out.strip()}" in said.err
    assert "Did you mean" not in shop.rota("submit", "write", "{}", "--queue", "letters").err
