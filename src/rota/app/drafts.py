"""From a call to a job that is ready to be stored. This is the hot path of a submit: a few microseconds a job."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NoReturn

from rota.app.call import Call
from rota.errors import RotaError, UsageError
from rota.model.job import NewJob
from rota.model.shape import Call as Arguments
from rota.runtime.entropy import draw_tokens
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
        signature = definition.codec.signature
        self._takes_one = set(signature.required) <= set(signature.positional[:1]) and bool(signature.positional)

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
        return self._job(*self._encode(args, kwargs))

    def from_json(self, text: str | bytes) -> NewJob:
        """Return the job of a call whose arguments are one JSON object."""
        return self._job(*self._definition.codec.encode_text(text))

    def many(self, calls: Iterable[Any]) -> list[NewJob]:
        """Return the jobs of a batch, in order.

        Raises:
            UsageError: One of them does not fit; the message says which, from 0.
            LimitError: More than 10,000.
        """
        calls = self._list_of(calls)
        check_batch(len(calls))
        if self._terms.token is not None and len(calls) > 1:
            raise UsageError(
                f"task {self._definition.name}: options(token=…) names one job, and the batch has {len(calls):,}. Nothing "
                "was written. Submit jobs with tokens of their own one by one."
            )
        times = self._times()
        encoded: list[tuple[bytes, Arguments]] = []
        encode, single = self._encode, self._single()
        try:
            for call in calls:
                one = encode(call.args, call.kwargs) if isinstance(call, Call) else single(call)
                encoded.append(one)  # its length says which one failed
            return self._jobs(encoded, times)
        except RotaError as error:
            index = error.facts.setdefault("index", len(encoded))
            error.message = f"job {index} of the batch, counted from 0: {error.message}"
            raise

    def _list_of(self, calls: Iterable[Any]) -> list[Any]:
        if isinstance(calls, Iterable) and not isinstance(calls, (str, bytes, Mapping)):
            return list(calls)
        raise UsageError(
            f"task {self._definition.name}: submit_many takes a list with an entry for each job, and got "
            f"{type(calls).__name__}. Nothing was written. For a single job call submit."
        )

    def _job(self, payload: bytes, call: Arguments) -> NewJob:
        terms = self._terms
        key = self._definition.key_of(call) if isinstance(terms.key, Unset) else terms.key
        token = terms.token or self._app._entropy.token()
        due_at, expires_at = self._times()
        return new_job(self._definition.name, payload, key, token, terms, due_at=due_at, expires_at=expires_at)

    def _jobs(self, encoded: list[tuple[bytes, Arguments]], times: tuple[int | None, int | None]) -> list[NewJob]:
        terms, name = self._terms, self._definition.name
        due_at, expires_at = times
        tokens = draw_tokens(self._app._entropy, len(encoded)) if terms.token is None else [terms.token]
        keys = self._keys(encoded) if isinstance(terms.key, Unset) else [terms.key] * len(encoded)
        return [
            new_job(name, payload, key, token, terms, due_at=due_at, expires_at=expires_at)
            for token, key, (payload, _) in zip(tokens, keys, encoded, strict=True)
        ]

    def _keys(self, encoded: list[tuple[bytes, Arguments]]) -> list[str | None]:
        rule = self._definition.key
        if rule is None or isinstance(rule, str):
            return [rule] * len(encoded)
        keys: list[str | None] = []
        try:
            for _, call in encoded:
                keys.append(self._definition.key_of(call))
        except RotaError as error:
            error.facts["index"] = len(keys)
            raise
        return keys

    def _times(self) -> tuple[int | None, int | None]:
        now_us = self._app._clock.now_us()
        return self._terms.due_at(now_us), self._terms.expires_at(now_us)

    def _single(self) -> Callable[[Any], tuple[bytes, Arguments]]:
        """Return what encodes a bare value."""
        return self._definition.codec.encode_single if self._takes_one else self._refuse_single

    def _refuse_single(self, _: Any) -> NoReturn:
        raise UsageError(
            f"a bare value stands for the one argument of a task, and {self._definition.codec.signature} takes others. "
            f"Nothing was written. Write {self._definition.name}.call(…) for each job of the batch."
        )
