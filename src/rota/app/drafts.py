"""From a call to a job that is ready to be stored. This is the hot path of a submit: a few microseconds a job."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from rota.errors import RotaError, UsageError
from rota.model.job import NewJob
from rota.model.shape import Call
from rota.submit.check import check_batch
from rota.submit.terms import Terms, Unset, new_job

if TYPE_CHECKING:
    from rota.app.definition import Definition
    from rota.app.rota import Rota


class Drafts:
    """Makes the jobs of one task under one set of options.

    Args:
        definition: The task.
        terms: The options, checked.
        app: Gives clock and chance.
    """

    def __init__(self, definition: Definition, terms: Terms, app: Rota) -> None:
        app.config  # noqa: B018 - the codec learns its limits from the settings, which are read at first use
        self._definition = definition
        self._encode = definition.codec.encode
        self._terms = terms
        self._app = app

    @classmethod
    def of(cls, definition: Definition, options: Mapping[str, Any], app: Rota) -> Drafts:
        """Check the options and return what makes jobs under them.

        Raises:
            UsageError: Something is of the wrong kind, or contradicts another.
            LimitError: Something is out of range.
        """
        chosen: dict[str, Any] = {"queue": definition.queue, "priority": definition.priority, **options}
        return cls(definition, Terms.of(definition.name, **chosen), app)

    def one(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> NewJob:
        """Return the job of one call."""
        return self._job(*self._encode(args, kwargs), *self._times())

    def from_json(self, text: str | bytes) -> NewJob:
        """Return the job of a call whose arguments are one JSON object."""
        return self._job(*self._definition.codec.encode_text(text), *self._times())

    def many(self, calls: Iterable[Any]) -> list[NewJob]:
        """Return the jobs of a batch, in order.

        Raises:
            UsageError: One of them does not fit; the message says which, from 0.
            LimitError: More than 10,000.
        """
        calls = list(calls)
        check_batch(len(calls))
        if self._terms.token is not None and len(calls) > 1:
            raise UsageError(
                f"task {self._definition.name}: options(token=…) names one job, and the batch has {len(calls):,}. Submit "
                "jobs with tokens of their own one by one."
            )
        from rota.app.task import Call as BatchCall

        times, jobs = self._times(), []
        for index, call in enumerate(calls):
            try:
                if isinstance(call, BatchCall):
                    payload, read = self._encode(call.args, call.kwargs)
                else:
                    payload, read = self._encode(self._single(call), {})
                jobs.append(self._job(payload, read, *times))
            except RotaError as error:
                error.message = f"job {index} of the batch, counted from 0: {error.message}"
                error.facts["index"] = index
                raise
        return jobs

    def _job(self, payload: bytes, read: Call, due_at: int | None, expires_at: int | None) -> NewJob:
        terms, definition = self._terms, self._definition
        key = definition.key_of(read) if isinstance(terms.key, Unset) else terms.key
        token = terms.token or self._app._entropy.token()
        return new_job(definition.name, payload, key, token, terms, due_at=due_at, expires_at=expires_at)

    def _times(self) -> tuple[int | None, int | None]:
        now_us = self._app._clock.now_us()
        return self._terms.due_at(now_us), self._terms.expires_at(now_us)

    def _single(self, argument: Any) -> tuple[Any, ...]:
        signature = self._definition.codec.signature
        if len(signature.required) > 1 or not signature.positional:
            raise UsageError(
                f"a bare value stands for the one argument of a task, and {signature} takes others. Nothing was written. "
                f"Write {self._definition.name}.call(…) for each job of the batch."
            )
        return (argument,)
