"""Commands about one job, and putting many back."""

from __future__ import annotations

import os
import pty
import subprocess

from rota.model.outcome import Failure
from tests.contract.outcomes import failed
from tests.contract.shop import Shop
from tests.integration.cli.shop import NOBODY, ROTA, STORY_FIELDS, Folder


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


def test_a_wait_of_no_time_is_a_question(shop: Folder) -> None:
    """What is settled already was settled in time."""
    assert shop.rota("wait", shop.tokens["succeeded"], "--timeout", "0").code == 0
    assert shop.rota("wait", shop.tokens["failed"], "--timeout", "0").code == 1
    assert shop.rota("wait", shop.tokens["head"], "--timeout", "0").code == 124
    assert shop.rota("wait", NOBODY, "--timeout", "0").code == 3


def test_a_job_tells_its_story(shop: Folder) -> None:
    """Attempts, worker, times, errors; why it moved."""
    failed = shop.rota("job", shop.tokens["failed"]).out
    moved = shop.rota("job", shop.tokens["moved"]).out

    assert "attempt 1 failed on mitte/1" in failed
    assert "failed for good on mitte/1 after 2 attempts: ValueError: no oven" in failed
    assert "Traceback (most recent call last)" in failed
    assert "moved away from mitte/2: its process died while the job ran" in moved
    assert "attempt 1 taken by mitte/1" in moved
    assert "0, and 1 crash (taken 2 times in all)" in moved
    assert "(taken" not in failed


def test_the_last_words_of_a_process_are_told(empty: Folder) -> None:
    """A crash has no traceback; the end of its log is all that there is to go by."""
    died = Failure("WorkerCrashed", "worker mitte/alone was killed. Its last lines:\nout of memory\ngood bye", "")

    async def plan(shop: Shop) -> dict[str, bytes]:
        token = await shop.submit_one(shop.job())
        worker = await shop.worker()
        await worker.settle(failed(await worker.claim_one(), died))
        return {"killer": token}

    empty.seed(plan)

    assert empty.rota("job", empty.tokens["killer"]).out.endswith("Its last lines:\n\n  out of memory\n  good bye\n")
    waited = empty.rota("wait", empty.tokens["killer"]).err
    assert "WorkerCrashed: worker mitte/alone was killed.\nIts story: " in waited


def test_the_sentence_gives_the_same_time_as_the_line_above_it(shop: Folder) -> None:
    """One clock on a screen: the same instant in two zones looks like two instants."""
    lines = shop.rota("job", shop.tokens["scheduled"]).lines

    (due,) = (line.removeprefix("due").partition(" (")[0].strip() for line in lines if line.startswith("due "))
    (why,) = (line for line in lines if line.startswith("why "))

    assert f"It is scheduled for {due}, in " in why
    assert " UTC, in " in shop.rota("job", shop.tokens["scheduled"], "--json").object["why"]


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
    assert "was cancelled already" in again.err
    done = shop.rota("cancel", shop.tokens["succeeded"])
    assert (done.code, "has succeeded already" in done.err) == (4, True)


def test_a_failed_job_is_put_back(shop: Folder) -> None:
    """One that succeeded is not: a success is not undone."""
    looked = shop.rota("retry", shop.tokens["failed"], "--dry-run", "--json").object
    done = shop.rota("retry", shop.tokens["failed"])

    assert looked == {"token": shop.tokens["failed"], "was": "failed", "reopened": False}
    assert done.code == 0
    assert shop.rota("status", shop.tokens["failed"]).out == "waiting\n"
    for name, words, says in (
        ("failed", (), "is waiting: only a failed, cancelled or expired job can be put back. Nothing was changed."),
        ("succeeded", (), "To run it once more, submit it anew."),
        ("succeeded", ("--dry-run",), "has succeeded: only a failed"),
    ):
        refused = shop.rota("retry", shop.tokens[name], *words)
        assert (refused.code, says in refused.err) == (4, True), refused.err


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


def test_a_mistyped_token_gets_a_suggestion(shop: Folder) -> None:
    """A digit was typed wrong, or the end was not copied; what it stood for is in the list of the newest jobs."""
    token = shop.rota("submit", "write", "{}").out.strip()
    wrong = token[:-1] + ("0" if token[-1] != "0" else "1")

    for command in ("status", "job", "wait", "cancel", "retry"):
        said = shop.rota(command, wrong)
        assert (said.code, said.out) == (3, ""), command
        assert f"Did you mean {token}?" in said.err, command
    for cut in (token[:-2], token + "0"):
        said = shop.rota("job", cut)
        assert said.code == 2
        assert f"Did you mean {token}?" in said.err
    assert "Did you mean" not in shop.rota("job", NOBODY).err
    assert "Did you mean" not in shop.rota("job", "x", "--store", "nowhere.db").err
