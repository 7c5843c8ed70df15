"""Taking jobs and recording what became of them. The protocol is in the functions; see ``rota.store.port``."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from typing import Any

from rota.model.job import ClaimedJob
from rota.model.outcome import Kind, Outcome
from rota.model.slot import place_of
from rota.store.port import Blame, Claim, Ranks, Released, Settled
from rota.store.postgres.subject import Subject, woken_of, written_failure

_JOB_COLUMNS = len(ClaimedJob.__struct_fields__)
_by_token = attrgetter("token")


class PostgresClaims(Subject):
    """``rota.store.port.Claims`` on PostgreSQL."""

    async def claim(
        self,
        worker: int,
        queue_id: int,
        slots: Sequence[int],
        limit: int,
        *,
        tasks: Sequence[int],
        cursors: Sequence[int] | None = None,
        keyed_before: int | None = None,
        stages: Sequence[int] | None = None,
        is_loop_idle: bool = False,
    ) -> Claim:
        """Take up to ``limit`` jobs of one queue that are ready in these slots; see the port."""
        del is_loop_idle
        records = await self._server.call(
            "claim_jobs",
            self._now(),
            worker,
            queue_id,
            slots,
            cursors,
            limit,
            tasks,
            keyed_before,
            stages,
        )
        return _claim_of(records)

    async def claim_alone(self, worker: int, tasks: Sequence[int]) -> Claim:
        """Take one suspect to run it alone."""
        return _claim_of(await self._server.call("claim_alone", self._now(), worker, tasks))

    async def settle(self, worker: int, outcomes: Sequence[Outcome], done_claims: Sequence[int] = ()) -> Settled:
        """Record outcomes, each only if its fence still stands; see the port."""
        if not outcomes and not done_claims:
            return Settled([], [])
        if len({outcome.token for outcome in outcomes}) == len(outcomes):
            return await self._settle(worker, outcomes, done_claims)
        # A token twice in one batch: the later one is treated as a later call would be.
        first: dict[bytes, Outcome] = {}
        later = [each for each in outcomes if first.setdefault(each.token, each) is not each]
        replies = [await self._settle(worker, list(first.values())), await self.settle(worker, later, done_claims)]
        return Settled(
            [each for reply in replies for each in reply.stale],
            [each for reply in replies for each in reply.woken],
            [each for reply in replies for each in reply.skipped],
        )

    async def _settle(self, worker: int, outcomes: Sequence[Outcome], done_claims: Sequence[int] = ()) -> Settled:
        record = await self._server.row("settle_jobs", self._now(), worker, *_columns(outcomes), done_claims)
        stale = record["stale_tokens"]
        return Settled(
            list(zip(stale, record["stale_fences"], strict=True)) if stale else [],
            woken_of(record),
            record["skipped"] or [],
        )

    async def held(self, worker: int) -> Sequence[ClaimedJob]:
        """Return all jobs that this worker holds, by ``seq``."""
        return [ClaimedJob(*record) for record in await self._server.call("held_jobs", worker, writes=False)]

    async def release(self, worker: int, blame: Blame) -> Released:
        """Put back what a closed worker held; see the port."""
        record = await self._server.row(
            "release_jobs",
            self._now(),
            worker,
            None if blame.running is None else list(blame.running),
            written_failure(blame.failure),
            blame.condemns,
            blame.forgives,
        )
        return Released(
            tokens=record["released"] or [],
            suspects=record["suspects"] or [],
            condemned=record["condemned"] or [],
            woken=woken_of(record),
            is_complete=record["is_complete"],
        )


def _claim_of(records: Sequence[Any]) -> Claim:
    """Read the reply of a claim: the jobs, then a row of facts."""
    facts = records[-1]
    jobs = [ClaimedJob(*record[:_JOB_COLUMNS]) for record in records[:-1]]
    if len(jobs) > 1 and jobs[0].claim_no != jobs[-1].claim_no:
        jobs.sort(key=lambda job: place_of(job.priority, job.seq))
    return Claim(
        jobs,
        facts["epoch"],
        facts["due_in_us"],
        facts["skipped"] or [],
        facts["is_paused"],
        Ranks(fronts=facts["fronts"] or []) if facts.get("is_mixed") else None,
    )


def _columns(outcomes: Sequence[Outcome]) -> tuple[list[Any], ...]:
    """Return the outcomes as arrays, sorted by token, which is the order in which every settle locks its rows."""
    ordered = sorted(outcomes, key=_by_token)
    is_plain = all(outcome.kind is Kind.SUCCEEDED for outcome in ordered)
    return (
        [outcome.token for outcome in ordered],
        [outcome.fence for outcome in ordered],
        [] if is_plain else [int(outcome.kind) for outcome in ordered],
        [outcome.result for outcome in ordered],
        [] if is_plain else [written_failure(outcome.failure) for outcome in ordered],
        [] if is_plain else [outcome.due_at for outcome in ordered],
        [outcome.started_at for outcome in ordered],
    )
