"""A folder with a store in it, jobs of every state, and the real `rota` to ask about them."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from rota.app.engine import open_store
from rota.model.outcome import Failure
from rota.model.token import token_text
from rota.testing.clock import ManualClock
from tests.contract.outcomes import failed, retry, succeeded
from tests.contract.shop import CountingEntropy, Shop

_WARM = """
import gc, json, os, sys
import rich.console, rota.app.rota, rota.cli.main, rota.result.info, rota.store.sqlite.store
gc.freeze()  # A child that looked through all of it at its end would copy all of it, and take twice as long.
for line in sys.stdin:
    call = json.loads(line)
    child = os.fork()
    if child:
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
        continue
    os.chdir(call["cwd"])
    os.environ.clear()
    os.environ.update(call["env"])
    for number, name, flags in ((0, "in", os.O_RDONLY), (1, "out", os.O_WRONLY), (2, "err", os.O_WRONLY)):
        os.dup2(os.open(call[name], flags), number)
    if call["is_bare"]:
        import ctypes, struct
        ctypes.CDLL(None).capset(struct.pack("Ii", 0x20080522, 0), bytes(24))
    sys.stdin = open(0)
    sys.argv = ["rota", *call["words"]]
    rota.cli.main.main()
"""


class WarmRota:
    """`rota` with its libraries loaded already: each call is a process of its own, forked from one that opened nothing.

    A call takes a tenth of the time of a cold one, which one test makes to compare.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._server = subprocess.Popen(
            [sys.executable, "-c", _WARM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def call(
        self, words: Sequence[str], cwd: Path, environment: dict[str, str], typed: str, *, is_bare: bool = False
    ) -> Said:
        files = {name: self._folder / name for name in ("in", "out", "err")}
        for name, file in files.items():
            file.write_text(typed if name == "in" else "")
        order = {name: str(file) for name, file in files.items()}
        call = {"words": words, "cwd": str(cwd), "env": environment, "is_bare": is_bare}
        order_line = json.dumps(order | call)
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.write(order_line + "\n")
        self._server.stdin.flush()
        code = int(self._server.stdout.readline())
        return Said(code, files["out"].read_text(), files["err"].read_text())

    def close(self) -> None:
        with self._server:
            assert self._server.stdin is not None
            self._server.stdin.close()


ROTA = str(Path(sys.executable).with_name("rota"))

JOB_FIELDS = [
    "token", "state", "task", "queue", "key", "priority", "slot", "attempts", "crashes", "fence", "worker", "cancel_asked",
    "submitted_at", "due_at", "expires_at", "claimed_at", "started_at", "settled_at", "error",
]  # fmt: skip
STORY_FIELDS = [*JOB_FIELDS, "why", "payload", "result", "overrides", "history"]

NOBODY = "0198c2f1-7b3a-7cc0-8000-3d2f5e6a7b8c"
"""A token of long ago that no job has."""

APP = """
from dataclasses import dataclass

from rota.app.rota import Rota

app = Rota("shop.db")


@dataclass
class Order:
    store: str
    pizza: str


@app.task(key=lambda order: order.store)
def bake(order: Order) -> str:
    return f"{order.pizza} for {order.store}"


@app.task(queue="letters")
def write(to: str, copies: int = 1) -> None:
    pass


@app.task
def burn() -> None:
    raise ValueError("no oven")
"""

NO_OVEN = Failure("ValueError", "no oven", 'Traceback (most recent call last):\n  File "shop.py"\nValueError: no oven')


@dataclass
class Said:
    """What one call of `rota` said."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()

    @property
    def objects(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines]

    @property
    def object(self) -> dict[str, Any]:
        (one,) = self.objects
        return one


@dataclass
class Folder:
    """A folder in which `rota` is called.

    Attributes:
        path: The folder.
        warm: Carries out the calls.
        tokens: Tokens of the seeded jobs by what they are.
        is_bare: Calls are made without the superuser's powers, so that the rights of files hold for it, too.
    """

    path: Path
    warm: WarmRota
    tokens: dict[str, str] = field(default_factory=dict)
    is_bare: bool = False

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("ROTA_")}
        return kept | {"NO_COLOR": "1"}

    def rota(self, *words: str, typed: str = "", **environment: str) -> Said:
        """Call `rota` and wait for its end."""
        return self.warm.call(words, self.path, self.environment | environment, typed, is_bare=self.is_bare)

    def write_app(self) -> None:
        (self.path / "shop.py").write_text(APP)

    def seed(self, plan: Callable[[Shop], Awaitable[dict[str, bytes]]], store: str = "rota.db") -> None:
        """Fill the store through its port; the plan returns tokens by name."""
        tokens = asyncio.run(self._seeded(plan, store))
        self.tokens |= {name: token_text(token) for name, token in tokens.items()}

    async def _seeded(self, plan: Callable[[Shop], Awaitable[dict[str, bytes]]], store: str) -> dict[str, bytes]:
        clock = ManualClock(datetime.now(UTC) - timedelta(minutes=10))
        opened = await open_store(self.path / store, clock=clock)
        try:
            return await plan(Shop(opened, clock, CountingEntropy(clock)))
        finally:
            await opened.close()


async def a_day_in_the_shop(shop: Shop) -> dict[str, bytes]:
    """One job of every state, with a story where there is one to tell."""
    names: dict[str, bytes] = {}
    baker = await shop.worker("mitte/1", queues=["ovens", "letters"], tasks=["bake", "write"])
    names["succeeded"] = await shop.submit_one(shop.job("mitte"))
    await baker.settle(succeeded((await baker.claim())[0]))
    shop.clock.advance(1)

    names["failed"] = await shop.submit_one(shop.job("wedding"))
    (job,) = await baker.claim()
    shop.clock.advance(2)
    await baker.settle(retry(job, shop.at(5), NO_OVEN))
    shop.clock.advance(6)
    (job,) = await baker.claim()
    shop.clock.advance(1)
    await baker.settle(failed(job, NO_OVEN))

    names["cancelled"] = await shop.submit_one(shop.job())
    await shop.store.cancel(names["cancelled"])

    names["moved"] = await shop.submit_one(shop.job("moved", task="bake"))
    victim = await shop.worker("mitte/2", queues=["ovens"], tasks=["bake"])
    await victim.claim()
    shop.clock.advance(3)
    await shop.lose(victim, running=[names["moved"]])
    names["running"] = names["moved"]
    await baker.claim()
    shop.clock.advance(1)

    names["head"] = await shop.submit_one(shop.job("kreuzberg"))
    names["behind"] = await shop.submit_one(shop.job("kreuzberg"))
    names["scheduled"] = await shop.submit_one(shop.job(delay=timedelta(days=1)))
    names["letter"] = await shop.submit_one(shop.job(queue="letters", task="write", payload=b'{"to":"anna"}'))
    return names
