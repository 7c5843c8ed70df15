"""The real `rota` as a process, on a real store: what it writes where, and how it ends."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.cli_shop import ROTA, Folder, WarmRota, a_day_in_the_shop

JOB_FIELDS = [
    "token", "state", "task", "queue", "key", "priority", "slot", "attempts", "crashes", "fence", "worker", "cancel_asked",
    "submitted_at", "due_at", "expires_at", "claimed_at", "started_at", "settled_at", "error",
]  # fmt: skip
STORY_FIELDS = [*JOB_FIELDS, "why", "payload", "result", "overrides", "history"]
NOBODY = "0198c2f1-7b3a-7cc0-8000-3d2f5e6a7b8c"


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WarmRota]:
    rota = WarmRota(tmp_path_factory.mktemp("warm"))
    yield rota
    rota.close()


@pytest.fixture
def empty(tmp_path: Path, warm: WarmRota) -> Folder:
    return Folder(tmp_path, warm)


@pytest.fixture
def shop(tmp_path: Path, warm: WarmRota) -> Folder:
    folder = Folder(tmp_path, warm)
    folder.seed(a_day_in_the_shop)
    return folder


@pytest.mark.parametrize(
    "words",
    [("jobs",), ("status",), ("queues",), ("workers",), ("ring",), ("doctor",), ("health",), ("status", NOBODY),
     ("wait", NOBODY), ("job", NOBODY), ("cancel", NOBODY), ("retry", NOBODY), ("pause", "ovens"), ("backup", "copy.db")],
    ids=" ".join,
)  # fmt: skip
def test_a_store_that_is_not_there_is_not_made(empty: Folder, words: tuple[str, ...]) -> None:
    """A mistyped path must be an error, not an empty list."""
    said = empty.rota(*words, "--store", "elsewhere.db")

    assert said.code == 69
    assert "there is no store at elsewhere.db (--store)" in said.err
    assert said.out == ""
    assert list(empty.path.iterdir()) == []


def test_the_store_is_the_option_then_the_environment_then_the_app_then_the_default(empty: Folder) -> None:
    """The nearest word wins; the message says whose word it was."""
    empty.write_app()
    told = [
        empty.rota("jobs", "--store", "a.db", "--app", "shop:app", ROTA_STORE="b.db").err,
        empty.rota("jobs", "--app", "shop:app", ROTA_STORE="b.db").err,
        empty.rota("jobs", ROTA_APP="shop:app").err,
        empty.rota("jobs").err,
    ]

    assert "a.db (--store)" in told[0]
    assert "b.db (ROTA_STORE)" in told[1]
    assert "shop.db (the store of shop:app)" in told[2]
    assert "rota.db (the default)" in told[3]


def test_a_secret_store_may_lie_in_a_file(shop: Folder) -> None:
    """Passwords do not belong into an environment that everybody can read."""
    (shop.path / "secret").write_text("rota.db\n")

    assert shop.rota("status", ROTA_STORE_FILE="secret").code == 0
    assert shop.rota("status", ROTA_STORE_FILE="nowhere").code == 78


@pytest.mark.parametrize(("store", "code"), [(":memory:", 78), (".", 78), ("mysql://localhost/x", 78)])
def test_what_cannot_be_a_store_is_a_matter_of_configuration(empty: Folder, store: str, code: int) -> None:
    """Not worth trying again."""
    said = empty.rota("submit", "bake", "{}", "--store", store)

    assert said.code == code
    assert said.out == ""


def test_a_file_that_is_no_store_is_refused_and_left_alone(empty: Folder) -> None:
    """Somebody's letter is not a database."""
    (empty.path / "letter.txt").write_text("Dear Anna, " * 200)

    said = empty.rota("jobs", "--store", "letter.txt")

    assert said.code in (69, 78)
    assert "Traceback" not in said.err
    assert (empty.path / "letter.txt").read_text() == "Dear Anna, " * 200


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
    ("words", "meant"),
    [(["--task", "bkae"], "Did you mean 'bake'?"), (["--queue", "oven"], "Did you mean 'ovens'?")],
)
def test_a_filter_that_nothing_fits_gets_a_suggestion(shop: Folder, words: list[str], meant: str) -> None:
    """An empty list is right, and a typing error is likely."""
    said = shop.rota("jobs", *words)

    assert (said.code, said.out) == (0, "")
    assert meant in said.err


def test_a_state_that_does_not_exist_is_a_usage_error(shop: Folder) -> None:
    """Nobody would ever be in it."""
    said = shop.rota("jobs", "--state", "runing")

    assert said.code == 2
    assert "Did you mean 'running'?" in said.err


def test_a_status_is_one_word(shop: Folder) -> None:
    """`if [ "$(rota status $token)" = succeeded ]` must work."""
    assert shop.rota("status", shop.tokens["succeeded"]).out == "succeeded\n"
    assert shop.rota("status", shop.tokens["failed"].upper()).out == "failed\n"
    two = shop.rota("status", shop.tokens["head"], shop.tokens["scheduled"]).lines
    assert two == [f"{shop.tokens['head']}  waiting", f"{shop.tokens['scheduled']}  scheduled"]
    said = shop.rota("status", shop.tokens["running"], "--json")
    assert said.object == {"token": shop.tokens["running"], "state": "running"}


def test_a_token_that_nobody_has_is_not_found(shop: Folder) -> None:
    """A token tells its age: an old one may have been there once."""
    young = shop.tokens["head"][:-4] + "ffff"

    assert shop.rota("status", young).code == 3
    assert "no job has the token" in shop.rota("job", young).err
    assert shop.rota("wait", NOBODY).code == 3
    assert "days ago" in shop.rota("wait", NOBODY).err
    assert shop.rota("cancel", young).code == 3
    assert shop.rota("retry", young).code == 3
    assert shop.rota("job", "not-a-token").code == 2


def test_the_whole_house_at_a_glance(shop: Folder) -> None:
    """What one asks first."""
    said = shop.rota("status", "--json")

    assert said.object["jobs"] == {
        "waiting": 3, "scheduled": 1, "running": 1, "succeeded": 1, "failed": 1, "cancelled": 1, "expired": 0,
    }  # fmt: skip
    assert (said.object["workers"], said.object["nodes"], said.object["paused_queues"]) == (1, 1, [])
    assert "waiting" in shop.rota("status").out


def test_waiting_gives_the_result_or_says_why_there_is_none(shop: Folder) -> None:
    """The exit code is the job's fate; stdout is its result and nothing else."""
    fine = shop.rota("wait", shop.tokens["succeeded"])
    bad = shop.rota("wait", shop.tokens["failed"])
    gone = shop.rota("wait", shop.tokens["cancelled"])

    assert (fine.code, fine.out, fine.err) == (0, '"baked"\n', "")
    assert (bad.code, bad.out) == (1, "")
    assert "ValueError: no oven" in bad.err
    assert f"rota retry {shop.tokens['failed']}" in bad.err
    assert gone.code == 1
    assert shop.rota("wait", shop.tokens["failed"], "--json").object["state"] == "failed"


def test_waiting_has_an_end(shop: Folder) -> None:
    """124, as `timeout` says it; the job goes on."""
    said = shop.rota("wait", shop.tokens["head"], "--timeout", "100ms")

    assert (said.code, said.out) == (124, "")
    assert "the job goes on" in said.err


def test_a_job_tells_its_story(shop: Folder) -> None:
    """Attempts, worker, times, errors; why it moved."""
    failed = shop.rota("job", shop.tokens["failed"]).out
    moved = shop.rota("job", shop.tokens["moved"]).out

    assert "attempt 1 failed on mitte/1" in failed
    assert "failed for good on mitte/1 after 2 attempts: ValueError: no oven" in failed
    assert "Traceback (most recent call last)" in failed
    assert "moved away from mitte/2: its process died while the job ran" in moved
    assert "attempt 1 taken by mitte/1" in moved


def test_a_job_says_why_it_waits(shop: Folder) -> None:
    """Every waiting job can say why."""
    behind = shop.rota("job", shop.tokens["behind"], "--json").object

    assert list(behind) == STORY_FIELDS
    assert shop.tokens["head"] in behind["why"]
    assert behind["payload"] == {"pizza": "funghi"}
    assert shop.rota("job", shop.tokens["succeeded"], "--json").object["why"] is None
    history = shop.rota("job", shop.tokens["moved"], "--json").object["history"]
    assert [entry["kind"] for entry in history] == ["crashed"]
    assert "died while it ran" in history[0]["moved"]


def test_a_waiting_job_is_cancelled_and_a_running_one_is_asked(shop: Folder) -> None:
    """And one that is settled is left alone: 4."""
    waiting = shop.rota("cancel", shop.tokens["head"], "--json")
    running = shop.rota("cancel", shop.tokens["running"])
    again = shop.rota("cancel", shop.tokens["head"])

    assert waiting.object == {"token": shop.tokens["head"], "was": "waiting", "cancelled": True}
    assert running.code == 0
    assert "has been asked" in running.out
    assert again.code == 4
    assert "cancelled already" in again.err


def test_a_failed_job_is_put_back(shop: Folder) -> None:
    """One that succeeded is not: a success is not undone."""
    looked = shop.rota("retry", shop.tokens["failed"], "--dry-run", "--json").object
    done = shop.rota("retry", shop.tokens["failed"])

    assert looked == {"token": shop.tokens["failed"], "was": "failed", "reopened": False}
    assert done.code == 0
    assert shop.rota("status", shop.tokens["failed"]).out == "waiting\n"
    assert shop.rota("retry", shop.tokens["failed"]).code == 4
    assert shop.rota("retry", shop.tokens["succeeded"], "--dry-run").code == 4


def test_many_are_put_back_only_after_a_yes(shop: Folder) -> None:
    """A bulk change without a terminal needs --yes; --dry-run shows what would happen."""
    bulk = ("retry", "--task", "bake", "--failed")

    assert shop.rota(*bulk).code == 2
    assert shop.rota(*bulk, "--dry-run").out == "1 failed job of bake would be put back.\n"
    assert shop.rota("status", shop.tokens["failed"]).out == "failed\n"
    assert shop.rota(*bulk, "--yes", "--json").object == {
        "task": "bake", "failed": 1, "reopened": 1, "dry_run": False,
    }  # fmt: skip
    assert shop.rota(*bulk, "--yes").out == "No failed jobs of bake.\n"
    unknown = shop.rota("retry", "--task", "bkae", "--failed", "--yes")
    assert unknown.code == 3
    assert "'bake'" in unknown.err
    assert shop.rota("retry", "--task", "bake").code == 2


def test_the_yes_is_the_task_s_name_typed_out(shop: Folder) -> None:
    """A `y` is typed too easily for a thousand jobs."""
    words = [ROTA, "retry", "--task", "bake", "--failed"]

    def answer(text: str) -> tuple[int, str]:
        ours, theirs = pty.openpty()
        os.write(ours, f"{text}\n".encode())
        done = subprocess.run(
            words, cwd=shop.path, env=shop.environment, stdin=theirs, capture_output=True, text=True, check=False
        )
        os.close(ours)
        os.close(theirs)
        assert "1 failed job of bake will be put back." in done.stderr
        return done.returncode, done.stdout

    assert answer("y") == (2, "")
    assert shop.rota("status", shop.tokens["failed"]).out == "failed\n"
    assert answer("bake") == (0, "Put back 1 of 1 failed jobs of bake.\n")
    assert shop.rota("status", shop.tokens["failed"]).out == "waiting\n"


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


def test_a_backup_is_a_store(shop: Folder) -> None:
    """And never overwrites anything."""
    said = shop.rota("backup", "copy.db", "--json")

    assert said.object["file"] == "copy.db"
    assert said.object["bytes"] == (shop.path / "copy.db").stat().st_size
    assert shop.rota("status", "--json", "--store", "copy.db").object["jobs"]["failed"] == 1
    assert shop.rota("backup", "copy.db").code == 4
    assert shop.rota("backup", "nowhere/copy.db").code == 3


def test_a_file_is_brought_up_to_date_and_made(empty: Folder) -> None:
    """The same command before the first start, whatever the engine."""
    first = empty.rota("migrate", "--store", "new.db", "--json")

    assert first.object == {"store": "new.db", "applied": []}
    assert empty.rota("status", "--store", "new.db").code == 0


def test_the_doctor_looks_the_store_over(shop: Folder) -> None:
    """Version, durability, schema: one line each, and what to do."""
    checks = shop.rota("doctor", "--json").objects

    assert all(list(one) == ["check", "level", "says", "advice"] for one in checks)
    assert {one["level"] for one in checks} <= {"ok", "note", "warning", "error"}
    assert len(checks) >= 4
    shown = shop.rota("doctor")
    assert len([line for line in shown.lines if not line.startswith(" ")]) == len(checks)


def test_arguments_without_an_app_are_stored_as_they_are(empty: Folder) -> None:
    """Said so, and any JSON object will do."""
    said = empty.rota("submit", "bake", '{"order": {"pizza": "tonno"}}', "--key", "mitte", "--queue", "ovens")
    token = said.out.strip()

    assert said.code == 0
    assert "unchecked" in said.err
    job = empty.rota("job", token, "--json").object
    assert (job["payload"], job["key"], job["queue"]) == ({"order": {"pizza": "tonno"}}, "mitte", "ovens")


@pytest.mark.parametrize("arguments", ["[1]", "3", "null", "order=1", "{", ""])
def test_arguments_that_are_no_object_are_refused(empty: Folder, arguments: str) -> None:
    """Nothing is written, not even a store."""
    said = empty.rota("submit", "bake", arguments)

    assert said.code == 2
    assert list(empty.path.iterdir()) == []


def test_an_app_checks_arguments_and_applies_its_key_rule(empty: Folder) -> None:
    """The same job as `bake.submit(…)` makes."""
    empty.write_app()
    words = ("--app", "shop:app")
    fine = empty.rota("submit", "bake", '{"order": {"store": "mitte", "pizza": "funghi"}}', *words, "--json").object
    wrong = empty.rota("submit", "bake", '{"order": {"store": 3, "pizza": "funghi"}}', *words)
    unknown = empty.rota("submit", "bkae", "{}", *words)
    letter = empty.rota("submit", "write", '{"to": "anna"}', *words, "--key", "post", "--json").object

    assert (fine["key"], fine["queue"], fine["checked"], fine["duplicate"]) == ("mitte", "default", True, False)
    assert wrong.code == 2
    assert "$.order.store" in wrong.err
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
    assert empty.rota("submit", "bake", "{}", "--priority", "101").code == 2


def test_a_task_that_nobody_knows_is_stored_and_noted(shop: Folder) -> None:
    """It may be new; it may be misspelt."""
    said = shop.rota("submit", "bkae", "{}")

    assert said.code == 0
    assert "Did you mean 'bake'?" in said.err
    assert f"rota cancel {said.out.strip()}" in said.err


def test_a_reader_that_has_gone_is_no_error(shop: Folder) -> None:
    """`rota jobs | head -1` ends quietly."""
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [ROTA, "jobs", "--json"],
        cwd=shop.path,
        env=shop.environment,
        stdout=writer,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(writer)

    assert done.returncode == 0
    assert done.stderr == b""


def test_an_interrupt_ends_quietly_with_130(shop: Folder) -> None:
    """Ctrl-C is not an error of anybody."""
    folder = Path(f"{shop.path / 'rota.db'}.d") / "wake"
    words = [ROTA, "wait", shop.tokens["scheduled"]]
    with subprocess.Popen(words, cwd=shop.path, env=shop.environment, stderr=subprocess.PIPE, text=True) as waiting:
        while waiting.poll() is None and not (folder.is_dir() and any(folder.glob("*wait-*"))):
            os.sched_yield()
        waiting.send_signal(signal.SIGINT)
        _, told = waiting.communicate(timeout=30)

    assert (waiting.returncode, told) == (130, "rota: interrupted.\n")


def test_the_command_itself_is_installed_and_does_the_same(shop: Folder) -> None:
    """All other tests call it with its libraries loaded already."""
    done = subprocess.run(
        [ROTA, "jobs", "--json"], cwd=shop.path, env=shop.environment, capture_output=True, text=True, check=False
    )

    warm = shop.rota("jobs", "--json")
    assert (done.returncode, done.stdout, done.stderr) == (warm.code, warm.out, warm.err)


def test_no_colour_is_written_to_a_pipe(shop: Folder) -> None:
    """Escape codes in a file help nobody."""
    assert "\x1b" not in shop.rota("jobs", NO_COLOR="").out
    assert "\x1b" not in shop.rota("job", shop.tokens["failed"], NO_COLOR="").out


def test_json_is_json_throughout(shop: Folder) -> None:
    """Every command that shows something gives it as JSON, too."""
    for words in (["status"], ["jobs"], ["queues"], ["workers"], ["ring"], ["doctor"], ["health"]):
        said = shop.rota(*words, "--json")
        assert said.out, words
        assert all(isinstance(json.loads(line), dict) for line in said.lines), words
