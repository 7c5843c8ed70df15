"""Commands that list: jobs, queues, workers, the ring, the whole house."""

from __future__ import annotations

import pytest

from tests.integration.cli.shop import JOB_FIELDS, Folder


def test_jobs_are_listed_newest_first(shop: Folder) -> None:
    """Data to stdout, hints to stderr."""
    said = shop.rota("jobs")

    assert said.code == 0
    assert said.lines[0].split() == [
        "TOKEN", "STATE", "TASK", "KEY", "AGE", "WHAT", "TRIES", "QUEUE", "WORKER",
    ]  # fmt: skip
    listed = [line.split()[0] for line in said.lines[1:]]
    assert listed == sorted(listed, reverse=True)
    assert set(listed) == set(shop.tokens.values())
    assert "rota retry TOKEN" in said.err


def test_jobs_as_json_have_always_the_same_fields(shop: Folder) -> None:
    """A promise to programs: nothing is renamed, nothing is left out."""
    objects = shop.rota("jobs", "--json").objects

    assert len(objects) == len(set(shop.tokens.values()))
    assert [list(one) for one in objects] == [JOB_FIELDS] * len(objects)
    failed = next(one for one in objects if one["state"] == "failed")
    assert failed["error"] == {"type": "ValueError", "message": "no oven"}
    assert failed["submitted_at"].endswith("Z")


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["--state", "failed"], ["failed"]),
        (["--state", "waiting", "--state", "scheduled"], ["head", "behind", "scheduled", "letter"]),
        (["--task", "write"], ["letter"]),
        (["--queue", "letters"], ["letter"]),
        (["--key", "kreuzberg"], ["head", "behind"]),
        (["--key", "kreuzberg", "--state", "failed"], []),
    ],
)
def test_jobs_are_filtered(shop: Folder, words: list[str], names: list[str]) -> None:
    """Filters narrow each other."""
    said = shop.rota("jobs", *words, "--json")

    assert {one["token"] for one in said.objects} == {shop.tokens[name] for name in names}


def test_pages_follow_each_other_without_gap_or_overlap(shop: Folder) -> None:
    """The hint is the command of the next page, ready to be pasted."""
    everything = [one["token"] for one in shop.rota("jobs", "--json").objects]
    first = shop.rota("jobs", "--limit", "4")
    hint = next(line for line in first.err.splitlines() if line.startswith("More: "))

    second = shop.rota(*hint.removeprefix("More: rota ").split())

    listed = [line.split()[0] for page in (first, second) for line in page.lines[1:]]
    assert listed == everything[: len(listed)]
    assert len(listed) == 8
    assert [one["token"] for one in shop.rota("jobs", "--all", "--json").objects] == everything


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--task", "bkae"], "Did you mean 'bake'?"),
        (["--queue", "oven"], "Did you mean 'ovens'?"),
        (["--queue", "foo"], "there is no queue 'foo'"),
        (["--queue", ""], "there is no queue ''"),
        (["--queue", "oven", "--json"], "Did you mean 'ovens'?"),
        (["--task", "bkae", "--state", "failed", "--all", "--json"], "Did you mean 'bake'?"),
    ],
)
def test_a_task_or_queue_that_nobody_knows_is_not_found(shop: Folder, words: list[str], says: str) -> None:
    """A script that waits for an empty list must not be told that it is empty for a typing error."""
    said = shop.rota("jobs", *words)

    assert (said.code, said.out) == (3, "")
    assert says in said.err


def test_a_queue_or_task_that_only_the_app_names_has_an_empty_list(shop: Folder) -> None:
    """Its first job is still to come."""
    shop.write_app()

    for words in (["--queue", "default"], ["--task", "burn"]):
        assert shop.rota("jobs", *words, "--store", "rota.db").code == 3
        said = shop.rota("jobs", *words, "--store", "rota.db", "--app", "shop:app")
        assert (said.code, said.out, said.err) == (0, "", "No such jobs.\n")
    assert shop.rota("retry", "--task", "burn", "--failed", "--store", "rota.db", "--app", "shop:app").code == 0


def test_a_key_without_jobs_has_an_empty_list(shop: Folder) -> None:
    """A key is nobody's to know: it is there as long as its jobs are."""
    said = shop.rota("jobs", "--key", "kreuzburg")

    assert (said.code, said.out) == (0, "")
    assert "Did you mean 'kreuzberg'?" in said.err


def test_the_next_page_of_json_is_json(shop: Folder) -> None:
    """The hint is pasted as it is."""
    assert " --json --before " in shop.rota("jobs", "--limit", "2", "--json").err


def test_a_state_that_does_not_exist_is_a_usage_error(shop: Folder) -> None:
    """Nobody would ever be in it."""
    said = shop.rota("jobs", "--state", "runing")

    assert said.code == 2
    assert "Did you mean 'running'?" in said.err


def test_the_whole_house_at_a_glance(shop: Folder) -> None:
    """What one asks first."""
    said = shop.rota("status", "--json")

    assert said.object["jobs"] == {
        "waiting": 3, "scheduled": 1, "running": 1, "succeeded": 1, "failed": 1, "cancelled": 1, "expired": 0,
    }  # fmt: skip
    assert (said.object["workers"], said.object["nodes"], said.object["paused_queues"]) == (1, 1, [])
    assert "waiting" in shop.rota("status").out


def test_queues_and_workers_are_listed(shop: Folder) -> None:
    """Counts by queue; who is there."""
    queues = shop.rota("queues", "--json").objects
    worker = shop.rota("workers", "--json").object

    assert queues[1] == {
        "queue": "ovens", "paused": False, "waiting": 2, "scheduled": 1, "running": 1,
        "waiting_max": queues[1]["waiting_max"],
    }  # fmt: skip
    assert (worker["worker"], worker["node"], worker["pid"], sorted(worker["queues"])) == (
        "mitte/1", "mitte", 1001, ["letters", "ovens"],
    )  # fmt: skip
    assert shop.rota("workers").lines[1].startswith("mitte/1")
    assert shop.rota("queues").lines[2].split()[:4] == ["ovens", "2", "1", "1"]


def test_the_ring_tells_shares_and_the_last_change(shop: Folder) -> None:
    """mitte/2 died: its half went to mitte/1, and nothing else moved."""
    ring = shop.rota("ring", "--queue", "ovens", "--json").object
    shown = shop.rota("ring", "--queue", "ovens").out

    assert [(one["worker"], one["slots"]) for one in ring["workers"]] == [("mitte/1", 1024)]
    change = ring["last_change"]
    assert change["left"] == ["mitte/2"]
    assert [(move["from"], move["to"], move["why"]) for move in change["moves"]] == [("mitte/2", "mitte/1", "left")]
    assert 0 < change["moved"] < 1024
    assert f"{change['moved']} slots from mitte/2 to mitte/1: mitte/2 left" in shown
    assert shop.rota("ring", "--queue", "oven").code == 3
