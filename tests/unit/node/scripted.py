"""A store that answers as a test says and notes what it was asked: for the order of calls, and for failing answers.

What a call does to a job is tested on the real engines (tests/contract); nothing here pretends to know that.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from rota.errors import StoreBusyError
from rota.model.outcome import Failure, Outcome
from rota.store.port import AloneRow, Blame, Membership, NodeRow, Released, WorkerRow

BUSY = StoreBusyError("locked by a stranger")


class ScriptedStore:
    """Answers from its attributes.

    Attributes:
        asked: What was called, in order, such as ``("close_worker", 7)``.
        failing: How often the next calls of a method fail, by its name.
        releases: Answers to ``release``, in order; complete and empty when there are none left.
    """

    url = "a test's"

    def __init__(self) -> None:
        self.nodes: list[NodeRow] = []
        self.workers: list[WorkerRow] = []
        self.left: list[WorkerRow] = []
        self.suspects: list[AloneRow] = []
        self.asked: list[tuple[Any, ...]] = []
        self.blames: list[Blame] = []
        self.failing: dict[str, int] = {}
        self.releases: list[Released] = []
        self.closes_nodes = True

    def _ask(self, name: str, *facts: Any) -> None:
        self.asked.append((name, *facts))
        if self.failing.get(name, 0) > 0:
            self.failing[name] -= 1
            raise BUSY

    def calls(self, *names: str) -> list[tuple[Any, ...]]:
        """Return the calls of these methods."""
        return [call for call in self.asked if call[0] in names]

    async def membership(self, known: Membership | None = None) -> Membership:
        self._ask("membership", known)
        return Membership(1, list(self.nodes), list(self.workers), None)

    async def closed_workers_with_jobs(self) -> Sequence[WorkerRow]:
        self._ask("closed_workers_with_jobs")
        return list(self.left)

    async def close_node(self, node_id: int, counter: int) -> bool:
        self._ask("close_node", node_id, counter)
        if self.closes_nodes:
            self.nodes = [node for node in self.nodes if node.id != node_id]
        return self.closes_nodes

    async def close_worker(self, worker: int) -> bool:
        self._ask("close_worker", worker)
        self.workers = [row for row in self.workers if row.id != worker]
        return True

    async def settle(self, worker: int, outcomes: Sequence[Outcome], done_claims: Sequence[int] = ()) -> None:
        self._ask("settle", worker, [outcome.token for outcome in outcomes])

    async def release(self, worker: int, blame: Blame) -> Released:
        self._ask("release", worker)
        self.blames.append(blame)
        return self.releases.pop(0) if self.releases else released()

    async def alone(
        self, queues: Collection[str] | None = None, tasks: Collection[str] | None = None
    ) -> Sequence[AloneRow]:
        self._ask("alone")
        return [
            row
            for row in self.suspects
            if (queues is None or row.queue in queues) and (tasks is None or row.task in tasks)
        ][:100]


def released(*tokens: bytes, is_complete: bool = True) -> Released:
    return Released(tokens, (), (), (), is_complete)


def node(id_: int, proof: str = "", host: str = "{}") -> NodeRow:
    return NodeRow(id_, f"node{id_}", proof or f"node-{id_}", host, 0, 5, 0, False)


def worker(id_: int, node_id: int, proof: str = "", *, is_alone: bool = False) -> WorkerRow:
    return WorkerRow(
        id_, node_id, f"node{node_id}/{id_}", proof or f"worker-{id_}", ["mail"], ["send"], 1, is_alone, False, 0, 0, 0
    )


FAILURE = Failure("WorkerCrashed", "a test's")
