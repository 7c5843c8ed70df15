"""From a call to a job that is ready to be stored. This is the hot path of a submit: a few microseconds a job."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

from rota.app.call import Call
from rota.errors import RotaError, UsageError
from rota.model.job import NewJob
from rota.model.shape import Call as Arguments
from rota.runtime.entropy import draw_tokens
from rota.submit.check import check_batch
from rota.submit.terms import Terms, Unset, new_job, new_jobs

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
        if not calls:
            return []
        if self._terms.token is not None and len(calls) > 1:
            raise UsageError(
                f"task {self._definition.name}: options(token=…) names one job, and the batch has {len(calls):,}. Nothing "
                "was written. Submit jobs with tokens of their own one by one."
            )
        times = self._times()
        payloads, arguments = self._encode_all(calls)
        return self._jobs(payloads, arguments, times)

    def _encode_all(self, calls: list[Any]) -> tuple[Sequence[bytes], Iterable[Arguments]]:
        if self._takes_one and not any([isinstance(call, Call) for call in calls]):  # noqa: C419 - a third quicker
            encoded = self._definition.codec.encode_singles(calls)
            if encoded is not None:
                return encoded
        payloads: list[bytes] = []
        arguments: list[Arguments] = []
        encode, single = self._encode, self._single()
        with _naming(payloads):
            for call in calls:
                payload, read = encode(call.args, call.kwargs) if isinstance(call, Call) else single(call)
                payloads.append(payload)
                arguments.append(read)
        return payloads, arguments

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

    def _jobs(
        self, payloads: Sequence[bytes], arguments: Iterable[Arguments], times: tuple[int | None, int | None]
    ) -> list[NewJob]:
        terms = self._terms
        due_at, expires_at = times
        key = self._definition.key if isinstance(terms.key, Unset) else terms.key
        keys = self._keys(arguments) if callable(key) else [key] * len(payloads)
        tokens = draw_tokens(self._app._entropy, len(payloads)) if terms.token is None else [terms.token]
        return new_jobs(self._definition.name, payloads, keys, tokens, terms, due_at=due_at, expires_at=expires_at)

    def _keys(self, arguments: Iterable[Arguments]) -> list[str | None]:
        keys: list[str | None] = []
        key_of = self._definition.key_of
        with _naming(keys):
            for call in arguments:
                keys.append(key_of(call))  # noqa: PERF401 - their number says which one failed
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


@contextmanager
def _naming(done: list[Any]) -> Iterator[None]:
    """Say of an error which job of the batch it is about: the one after those that are done."""
    try:
        yield
    except RotaError as error:
        index = error.facts["index"] = len(done)
        error.message = f"job {index} of the batch, counted from 0: {error.message}"
        raise
