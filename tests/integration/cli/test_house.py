"""Pausing, backing up, looking the store over."""

from __future__ import annotations

from tests.contract.shop import Shop
from tests.integration.cli.shop import Folder


def test_a_queue_is_paused_and_resumed(shop: Folder) -> None:
    """And a queue that nobody knows gets a suggestion."""
    assert shop.rota("pause", "ovens").out == "ovens is paused.\n"
    assert shop.rota("pause", "ovens").out == "ovens was paused already.\n"
    assert [one["paused"] for one in shop.rota("queues", "--json").objects] == [False, True]
    assert shop.rota("status", "--json").object["paused_queues"] == ["ovens"]
    assert "paused" in shop.rota("job", shop.tokens["head"]).out
    assert shop.rota("resume", "ovens", "--json").object == {"queue": "ovens", "paused": False, "changed": True}
    unknown = shop.rota("pause", "oven")
    assert unknown.code == 3
    assert "Did you mean 'ovens'?" in unknown.err


def test_a_queue_can_be_paused_ahead_of_its_first_job(shop: Folder) -> None:
    """A deploy pauses first. What the app names is no slip; what nobody has named has to be meant."""
    shop.write_app()
    slip = shop.rota("pause", "reports")
    assert slip.code == 3
    assert "rota pause reports --create" in slip.err
    assert shop.rota("pause", "leters", "--app", "shop:app", "--store", "rota.db").code == 3
    assert "reports" not in {one["queue"] for one in shop.rota("queues", "--json").objects}

    assert shop.rota("pause", "reports", "--create").out == "reports is paused.\n"
    assert shop.rota("pause", "default", "--app", "shop:app", "--store", "rota.db", "--json").object["changed"]

    assert shop.rota("status", "--json").object["paused_queues"] == ["default", "reports"]
    late = shop.rota("submit", "report", "{}", "--queue", "reports").out.strip()
    assert "paused" in shop.rota("job", late, "--json").object["why"]
    assert shop.rota("resume", "reports").out == "reports is open.\n"


def test_hints_can_be_pasted_whatever_things_are_called(empty: Folder) -> None:
    """Names of queues, tasks and files may have blanks."""
    assert "rota resume 'oven s'" in empty.rota("pause", "oven s", "--create").err
    assert "rota pause 'oven t' --create" in empty.rota("pause", "oven t").err
    assert "rota resume 'oven s'" in empty.rota("queues").err
    assert "--store 'a copy.db'" in empty.rota("backup", "a copy.db").err


def test_resuming_makes_no_queue(shop: Folder) -> None:
    """One that nobody has paused is not paused, whatever it is called."""
    shop.write_app()
    assert shop.rota("resume", "oven").code == 3
    assert (
        shop.rota("resume", "default", "--app", "shop:app", "--store", "rota.db").out == "default was open already.\n"
    )
    assert [one["queue"] for one in shop.rota("queues", "--json").objects] == ["letters", "ovens"]


def test_a_store_can_begin_with_a_paused_queue(empty: Folder) -> None:
    """Also the first deploy of all."""
    assert empty.rota("pause", "mail", "--create").code == 0
    assert empty.rota("queues", "--json").object["paused"] is True
    assert empty.rota("pause", " mail", "--create").code == 2


def test_a_backup_is_a_store(shop: Folder) -> None:
    """And never overwrites anything."""
    said = shop.rota("backup", "copy.db", "--json")

    assert said.object["file"] == "copy.db"
    assert said.object["bytes"] == (shop.path / "copy.db").stat().st_size
    assert shop.rota("status", "--json", "--store", "copy.db").object["jobs"]["failed"] == 1
    assert shop.rota("backup", "copy.db").code == 4
    assert shop.rota("backup", "nowhere/copy.db").code == 3


def test_the_doctor_looks_the_store_over(shop: Folder) -> None:
    """Version, durability, schema: one line each, and what to do."""
    checks = shop.rota("doctor", "--json").objects

    assert all(list(one) == ["check", "level", "says", "advice"] for one in checks)
    assert {one["level"] for one in checks} <= {"ok", "note", "warning", "error"}
    assert len(checks) >= 4
    assert checks[0]["says"].endswith("/rota.db (the default)"), "which store it is, and who said so"
    assert [one["level"] for one in checks if one["check"] == "queues"] == ["ok"]
    shown = shop.rota("doctor")
    assert len([line for line in shown.lines if not line.startswith(" ")]) == len(checks)


def test_the_doctor_names_queues_that_nobody_serves(shop: Folder) -> None:
    """A mistyped queue: its jobs wait for ever, and everything else is well."""
    shop.rota("submit", "bake", "{}", "-q", "oven s")
    shop.rota("submit", "bake", "{}", "--store", "closed.db")

    (served,) = [one for one in shop.rota("doctor", "--json").objects if one["check"] == "queues"]
    looked = shop.rota("doctor", "--json", "--store", "closed.db")
    (nobody,) = [one for one in looked.objects if one["check"] == "queues"]

    assert served["level"] == "warning"
    assert served["says"] == "1 job waiting in queue 'oven s', which no worker serves"
    assert served["advice"].endswith("rota run MODULE:APP -q 'oven s'")
    assert (nobody["level"], nobody["says"]) == ("note", "1 job waiting, and no worker is there")


def test_the_doctor_names_tasks_that_nobody_knows(shop: Folder) -> None:
    """A renamed task, or a deploy half done: its jobs wait for ever, and everything else is well."""
    known = [one["level"] for one in shop.rota("doctor", "--json").objects if one["check"] == "tasks"]
    shop.seed(a_job_of_old_code)

    (said,) = [one for one in shop.rota("doctor", "--json").objects if one["check"] == "tasks"]

    assert known == ["ok"]
    assert said["level"] == "warning"
    assert said["says"] == "1 job of task 'old name' waiting in queue 'ovens', of which no worker knows that task"
    assert said["advice"].endswith("rota jobs --state waiting --task 'old name'")
    assert shop.rota("doctor").err.endswith("to look at.\n")


async def a_job_of_old_code(shop: Shop) -> dict[str, bytes]:
    """Submit one of a task that was renamed meanwhile."""
    return {"orphan": await shop.submit_one(shop.job(task="old name"))}
