"""What is seen at the store itself, at the instant at which it happens: what was recorded, refused, released.

Nobody in the cluster sees this. A reply can be lost; what was committed was committed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from rota.errors import NodeClosedError, QueueFullError, TokenReusedError
from rota.model.outcome import Kind, Outcome
from rota.model.state import State
from rota.model.token import token_text
from rota.store.port import Cancelled as CancelReply
from rota.store.port import Released as ReleaseReply
from rota.store.port import Settled as SettleReply
from tests.checkers.history import (
    Cancelled,
    Closed,
    Condemned,
    NodeClosed,
    Released,
    Renewed,
    Reopened,
    Settled,
    SettleStale,
    Yielded,
)
from tests.simulation.world import Process, World

_STATES = {Kind.SUCCEEDED: "succeeded", Kind.FAILED: "failed", Kind.CANCELLED: "cancelled", Kind.EXPIRED: "expired"}


class Observer:
    """Writes down what the store does."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._newest: dict[int, int] = {}
        self._nodes: dict[int, Process] = {}
        self._recorded: set[tuple[str, int, Kind]] = set()
        self._see: dict[str, Callable[..., None]] = {
            "settle": self._settle,
            "cancel": self._cancel,
            "reopen": self._reopen,
            "release": self._release,
            "close_worker": self._close_worker,
            "register_worker": self._register_worker,
            "close_node": self._close_node,
            "register_node": self._register_node,
            "renew": self._renew,
            "claim_alone": self._claim_alone,
            "expire": self._expire,
            "submit": self._submit,
        }

    def saw_call(
        self,
        process: Process,
        method: str,
        args: tuple[Any, ...],
        named: dict[str, Any],
        value: Any,
        error: BaseException | None,
    ) -> None:
        """Take a call that has just been carried out."""
        world = self._world
        world.counts["calls"] += 1
        if error is not None:
            self._refused(error)
        see = self._see.get(method)
        if see is not None and error is None:
            see(process, value, *args, **named)
        if world.story is not None and (error is not None or see is not None):
            world.tell(process, f"-> {method}", args=_short(args), error=error)

    def _refused(self, error: BaseException) -> None:
        counts = self._world.counts
        for kind in (NodeClosedError, QueueFullError, TokenReusedError):
            if isinstance(error, kind):
                counts[f"refused {kind.__name__}"] += 1

    def _settle(
        self,
        process: Process,
        reply: SettleReply,
        worker: int,
        outcomes: Sequence[Outcome],
        done_claims: Sequence[int] = (),
    ) -> None:
        world, at = self._world, self._world.now_ns
        stale = set(reply.stale)
        for outcome in outcomes:
            token = token_text(outcome.token)
            if (outcome.token, outcome.fence) in stale:
                world.counts["seen stale settle"] += 1
                world.saw(SettleStale(at=at, token=token, fence=outcome.fence))
                world.tell(process, "settle is stale", token=token, fence=outcome.fence)
            elif (token, outcome.fence, outcome.kind) in self._recorded:
                world.counts["seen lost settle recognised"] += 1
            elif outcome.kind.is_final:
                self._recorded.add((token, outcome.fence, outcome.kind))
                world.saw(Settled(at=at, token=token, fence=outcome.fence, state=_STATES[outcome.kind]))
                world.tell(process, "settles", token=token, fence=outcome.fence, state=_STATES[outcome.kind])
            else:
                world.counts[f"seen {outcome.kind.name.lower()}"] += 1
                self._recorded.add((token, outcome.fence, outcome.kind))
                world.saw(Yielded(at=at, token=token, fence=outcome.fence))

    def _cancel(self, process: Process, reply: CancelReply, token: bytes) -> None:
        world, text = self._world, token_text(token)
        if reply.was is None or reply.was.is_final:
            return
        world.counts[f"seen cancel of {reply.was}"] += 1
        world.saw(Cancelled(at=world.now_ns, token=text, state=reply.was.value))
        if reply.was is not State.RUNNING:
            world.saw(Settled(at=world.now_ns, token=text, fence=0, state="cancelled"))

    def _reopen(self, process: Process, reply: Any, token: bytes) -> None:
        self._world.counts["seen reopen"] += 1
        self._world.saw(Reopened(at=self._world.now_ns, token=token_text(token)))

    def _release(self, process: Process, reply: ReleaseReply, worker: int, blame: Any) -> None:
        world = self._world
        who = world.incarnations.get(worker)
        world.saw(Released(at=world.now_ns, worker="" if who is None else who.seen, jobs=len(reply.tokens)))
        world.counts["seen released jobs"] += len(reply.tokens)
        if not reply.is_complete:
            world.counts["seen release in several calls"] += 1
        for token in reply.condemned:
            world.counts["seen condemned"] += 1
            world.saw(
                Condemned(
                    at=world.now_ns,
                    token=token_text(token),
                    worker="" if who is None else who.seen,
                    is_known=blame.running is not None,
                )
            )
            world.saw(Settled(at=world.now_ns, token=token_text(token), fence=0, state="failed"))

    def _close_worker(self, process: Process, reply: bool, worker: int) -> None:
        """Note a close, unless the process has another row by which it goes: it had registered twice."""
        who = self._world.incarnations.get(worker)
        if reply and who is not None and self._newest.get(who.pid) == worker:
            self._world.saw(Closed(at=self._world.now_ns, worker=who.seen))
        elif reply:
            self._world.counts["seen double registration closed"] += 1

    def _register_worker(self, process: Process, reply: Any, new: Any) -> None:
        if reply.id not in self._world.incarnations:
            self._world.incarnations[reply.id] = process
            self._newest[process.pid] = reply.id
        else:
            self._world.counts["seen registration repeated"] += 1

    def _close_node(self, process: Process, reply: bool, node: int, counter: int) -> None:
        self._world.counts["seen node closed" if reply else "seen close lost"] += 1
        who = self._nodes.get(node)
        if who is process and not reply:
            self._world.kept_open[process.pid] = node
        if reply and who is not None and who is not process:
            self._world.saw(NodeClosed(at=self._world.now_ns, node=who.seen, is_alive=who.is_alive, by=process.seen))
            self._world.counts["seen living node closed"] += who.is_alive

    def _register_node(self, process: Process, reply: Any, new: Any) -> None:
        self._nodes[reply.id] = process
        self._world.saw(Renewed(at=self._world.now_ns, node=process.seen))

    def _renew(self, process: Process, reply: Any, node: int, counter: int) -> None:
        self._world.saw(Renewed(at=self._world.now_ns, node=process.seen))

    def _claim_alone(self, process: Process, reply: Any, *_: Any) -> None:
        self._world.counts["seen alone run"] += len(reply.jobs)

    def _expire(self, process: Process, reply: int, *_: Any) -> None:
        self._world.counts["seen expired by the house"] += reply

    def _submit(self, process: Process, reply: Any, *_: Any) -> None:
        self._world.counts["seen duplicate submit"] += len(reply.duplicates)


def _short(args: tuple[Any, ...]) -> str:
    return ", ".join(str(arg) if isinstance(arg, int | bool | str) else type(arg).__name__ for arg in args)
