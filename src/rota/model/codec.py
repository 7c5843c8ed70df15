"""A task's arguments and result as JSON, and back, by the annotations of its function.

    bake(Order("mitte", "funghi")) ──bind──▶ by name ──JSON──▶ {"order": {"store": "mitte", …}} ──check──▶ payload
    payload ──decode──▶ (Order("mitte", "funghi"),), {}

Why a payload is read again before it is stored: writing checks nothing, and only reading by the annotations says whether
the worker will be able to. That costs about half a microsecond, and the job with a wrong argument never exists. What was
read is also compared with what was given (``rota.model.faithful``).

Only the arguments that were given are stored. A default is filled in when the job runs, as in any call of the function.

Invariants, each with the test that holds it:
    What the handler gets equals what was handed in.        tests/property/test_codec.py
    A payload that was encoded can be decoded.              tests/property/test_codec.py
    The same arguments give the same bytes, by position     tests/unit/model/test_codec.py
      or by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Any, Final

import msgspec

from rota.errors import InvalidArgumentsError, LimitError
from rota.model.faithful import find_change
from rota.model.limits import PAYLOAD_BYTES_MAX, RESULT_BYTES_MAX
from rota.model.parts import find_unknown, find_unwritable, part_at
from rota.model.plain import from_plain, to_plain
from rota.model.shape import Call, arguments_type, call_builder, refuse_foreign, without_snooze
from rota.model.signature import Signature, annotation_text

_ENCODE: Final = msgspec.json.Encoder(enc_hook=to_plain).encode


class Codec:
    """Writes and reads the arguments and the result of one task. Safe to use from several threads.

    Args:
        function: The task's function; see ``refuse_unless_plain``.
        task: The task's name, for messages.
        payload_bytes_max: The largest payload.
        result_bytes_max: The largest result.

    Raises:
        TaskDefinitionError: A parameter or the return value has a type that cannot be carried as JSON.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        task: str,
        *,
        payload_bytes_max: int = PAYLOAD_BYTES_MAX,
        result_bytes_max: int = RESULT_BYTES_MAX,
    ) -> None:
        self.task = task
        self.signature = Signature(function, task)
        self.payload_bytes_max = payload_bytes_max
        self.result_bytes_max = result_bytes_max
        for name, annotation in self.signature.annotations.items():
            refuse_foreign(annotation, f"parameter {name}", task, function)
        self.returns = without_snooze(self.signature.returns)
        refuse_foreign(self.returns, "the return value", task, function)
        self._decode = msgspec.json.Decoder(arguments_type(self.signature), dec_hook=from_plain).decode
        self._result = msgspec.json.Decoder(self.returns, dec_hook=from_plain)
        self._call = call_builder(self.signature)

    def encode(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[bytes, Call]:
        """Write down the arguments of a call, after checking that its handler will get what was meant.

        Returns the payload, and the arguments as the handler will get them, with defaults filled in.

        Raises:
            InvalidArgumentsError: They do not fit the function, or cannot be written as JSON. Names the path.
            LimitError: The payload is larger than allowed.
        """
        return self._encode(self.signature.bind(args, kwargs))

    def encode_single(self, value: Any) -> tuple[bytes, Call]:
        """Do the same for a call with the first argument alone, which must be enough."""
        return self._encode({self.signature.names[0]: value})

    def encode_singles(self, values: list[Any]) -> tuple[list[bytes], Iterable[Call]] | None:
        """Do ``encode_single`` for a batch, each step for all.

        Returns ``None`` if something is wrong: ``encode_single`` finds which, and the words for it.
        """
        name = self.signature.names[0]
        try:
            payloads = [_ENCODE({name: value}) for value in values]
            read = list(map(self._decode, payloads))
            if list(map(attrgetter(name), read)) != values or max(map(len, payloads)) > self.payload_bytes_max:
                return None
        except Exception:  # as in _encode_good
            return None
        return payloads, map(self._call, read)

    def _encode(self, given: Mapping[str, Any]) -> tuple[bytes, Call]:
        return self._encode_good(given) or self._encode_carefully(given)

    def _encode_good(self, given: Mapping[str, Any]) -> tuple[bytes, Call] | None:
        """Do it without asking why, if nothing is wrong: this runs for every job of a bulk submit."""
        try:
            payload = _ENCODE(given)
            read = self._decode(payload)
            for name, value in given.items():
                if getattr(read, name) != value:
                    return None
        except Exception:  # whatever it is, the careful way finds the words for it
            return None
        return (payload, self._call(read)) if len(payload) <= self.payload_bytes_max else None

    def _encode_carefully(self, given: Mapping[str, Any]) -> tuple[bytes, Call]:
        payload = self._write(given)
        try:
            read = self._decode(payload)
        except msgspec.ValidationError as error:
            raise self._refusal(str(error), given) from error
        for name, value in given.items():
            change = find_change(value, getattr(read, name), f"$.{name}")
            if change:
                raise self._refusal(change, given, name)
        return payload, self._call(read)

    def encode_text(self, text: str | bytes) -> tuple[bytes, Call]:
        """Check arguments that are JSON already, such as from a command line, and return them as ``encode`` does.

        A field that the annotations do not have is refused, however deep: it is most often a slip of the pen.

        Raises:
            InvalidArgumentsError: Not JSON, or it does not fit the function.
            LimitError: The payload is larger than allowed.
        """
        try:
            plain = msgspec.json.decode(text, type=dict[str, Any])
            self.signature.check_names(plain)
            read = self._decode(text)
        except msgspec.ValidationError as error:
            raise self._refusal(str(error), {}) from error
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            reason = "nested too deep" if isinstance(error, RecursionError) else error
            raise InvalidArgumentsError(
                f"the arguments of task {self.task} are not JSON: {reason}. Nothing was written. Give them as one object by "
                f"name, for {self.signature}.",
                task=self.task,
            ) from error
        for name, value in plain.items():
            if unknown := find_unknown(value, getattr(read, name), f"$.{name}"):
                raise self._refusal(unknown, {}, name)
        payload = self._write({name: getattr(read, name) for name in self.signature.names if name in plain})
        return payload, self._call(read)

    def decode(self, payload: bytes) -> Call:
        """Read the arguments of a job.

        Raises:
            InvalidArgumentsError: The payload was written for other parameters than these.
        """
        try:
            return self._call(self._decode(payload))
        except (msgspec.DecodeError, UnicodeError) as error:
            raise InvalidArgumentsError(
                f"the stored arguments do not fit task {self.task} as it is here: {_bare(str(error))}. The job has not been "
                f"run. It was submitted for other parameters than {self.signature}; run it with the code that it was "
                "submitted from, or submit it anew.",
                task=self.task,
            ) from error

    def encode_result(self, value: Any) -> bytes | None:
        """Write down what a handler returned; ``None`` for ``None``.

        Raises:
            InvalidArgumentsError: It cannot be written as JSON.
            LimitError: It is larger than allowed.
        """
        if value is None:
            return None
        try:
            result = _ENCODE(value)
        except Exception as error:
            raise InvalidArgumentsError(
                f"task {self.task} returned {_shown(value)} ({type(value).__name__}), which cannot be written as JSON: "
                f"{error}. The result was not recorded. {_advice(value)}",
                task=self.task,
            ) from error
        if len(result) > self.result_bytes_max:
            raise LimitError(
                f"task {self.task} returned {len(result):,} bytes of JSON, more than the {self.result_bytes_max:,} of "
                "`result_bytes_max`. The result was not recorded. Put large results into a file or an object store and "
                "return the name.",
                task=self.task,
                value=len(result),
                limit=self.result_bytes_max,
            )
        return result

    def decode_result(self, result: bytes | None) -> Any:
        """Read what a handler returned, as its function is annotated.

        Raises:
            InvalidArgumentsError: It returned something else than its annotation says.
        """
        if result is None:
            return None
        try:
            return self._result.decode(result)
        except (msgspec.DecodeError, UnicodeError) as error:
            raise InvalidArgumentsError(
                f"the result of task {self.task} does not fit its annotation, -> {annotation_text(self.returns)}: "
                f"{_bare(str(error))}. The job succeeded and its result is kept; `token.info().result` shows it as plain JSON.",
                task=self.task,
            ) from error

    def _write(self, given: Mapping[str, Any]) -> bytes:
        try:
            payload = _ENCODE(given)
        except Exception as error:  # msgspec passes on whatever a value's own code raises
            raise self._unwritable(given, error) from error
        if len(payload) > self.payload_bytes_max:
            sizes = {name: len(_ENCODE(value)) for name, value in given.items()}
            largest = max(sizes, key=lambda name: sizes[name])
            raise LimitError(
                f"the arguments of task {self.task} are {len(payload):,} bytes of JSON, more than the "
                f"{self.payload_bytes_max:,} of `payload_bytes_max`; argument {largest} takes {sizes[largest]:,} of them. "
                "Nothing was written. Put large things into a file or an object store and pass the name.",
                task=self.task,
                argument=largest,
                value=len(payload),
                limit=self.payload_bytes_max,
            )
        return payload

    def _unwritable(self, given: Mapping[str, Any], error: Exception) -> InvalidArgumentsError:
        for name, value in given.items():
            try:
                _ENCODE(value)
            except Exception as own:
                path, part = f"$.{name}", value
                if not isinstance(own, RecursionError):
                    path, part = find_unwritable(value, path, _ENCODE)
                return InvalidArgumentsError(
                    f"task {self.task}, argument {name}: {_shown(part)} ({type(part).__name__}) cannot be written as "
                    f"JSON{_why_unwritable(own)} - at {path}. Nothing was written. Pass plain values, dataclasses, dates, "
                    "UUIDs or Decimals.",
                    task=self.task,
                    argument=name,
                    path=path,
                )
        return InvalidArgumentsError(f"task {self.task}: {error}. Nothing was written.", task=self.task)

    def _refusal(self, reason: str, given: Mapping[str, Any], name: str | None = None) -> InvalidArgumentsError:
        reason = _bare(reason)
        path = reason.rpartition(" - at ")[2].partition("$")[2]  # or "key in $.prices"
        name = name or path.lstrip(".").partition(".")[0].partition("[")[0]
        text = f"task {self.task}: {reason}"
        if name in given:
            text += f" ({_shown_at(given, path) or f'argument {name} is {_shown(given[name])}'})"
        annotation = self.signature.annotations.get(name)
        if annotation is Any:
            advice = (
                f"{name} has no annotation, so it carries plain JSON only: annotate it with the type that you pass."
            )
        else:
            advice = f"It is called as {self.signature}."
        return InvalidArgumentsError(
            f"{text}. Nothing was written. {advice}", task=self.task, argument=name or None, path=f"${path}"
        )


def _advice(value: Any) -> str:
    if isinstance(value, BaseException):
        return f"Write `raise {type(value).__name__}(…)`: only a Snooze is returned."
    return "Return plain values, dataclasses, or the name of where it lies."


def _why_unwritable(error: Exception) -> str:
    if isinstance(error, NotImplementedError):
        return f": {error}"
    return ": it contains itself, or is nested too deep" if isinstance(error, RecursionError) else f": {error}"


def _bare(message: str) -> str:
    return message.replace("`", "")


def _shown_at(given: Mapping[str, Any], path: str) -> str | None:
    """Return what stands at a path, if it is the part of an argument that is too large to be shown whole."""
    try:
        part = part_at(given, path)
        is_cut = _shown(given[path[1:].partition(".")[0].partition("[")[0]]).endswith("…")
    except Exception:  # nothing there, or a value's own code fails; the message must not
        return None
    return f"there is {_shown(part)}" if is_cut else None


def _shown(value: Any, size: int = 80) -> str:
    try:
        text = repr(value)
    except Exception:  # a value's own repr may fail; the message must not
        text = f"<{type(value).__name__}>"
    return text if len(text) <= size else f"{text[: size - 1]}…"
