"""The shape of a task's arguments: made once, from its annotations, when the task is defined.

Whatever cannot be carried as JSON is refused here, at import time and by name, and not at the thousandth job.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator, Mapping
from operator import attrgetter
from typing import Any, Union, get_args, get_origin

import msgspec
from msgspec import inspect as shapes

from rota.errors import TaskDefinitionError
from rota.model.plain import from_plain, is_carried
from rota.model.retry import Snooze
from rota.model.signature import Signature, annotation_text, place_of

Call = tuple[tuple[Any, ...], Mapping[str, Any]]
"""Positional and keyword arguments."""

_SHARED_DEFAULTS = (int, str, float, bool, bytes, type(None), tuple, frozenset)
_NO_NAMES: Mapping[str, Any] = {}
"""A plain dict, which nobody changes: ``**`` takes it in a tenth of the time that a read-only view of one takes."""


def arguments_type(signature: Signature) -> type[msgspec.Struct]:
    """Return a struct with a field for each parameter; a default is the very object of the function."""
    fields: list[tuple[str, Any] | tuple[str, Any, Any]] = []
    for name in signature.names:
        if name in signature.defaults:
            fields.append((name, signature.annotations[name], _default(signature.defaults[name])))
        else:
            fields.append((name, signature.annotations[name]))
    return msgspec.defstruct(f"Arguments_of_{signature.task}", fields, kw_only=True, forbid_unknown_fields=True)


def _default(value: Any) -> Any:
    if isinstance(value, _SHARED_DEFAULTS):
        return value
    return msgspec.field(default_factory=lambda: value)  # the very object, as in a plain call


def call_builder(signature: Signature) -> Callable[[Any], Call]:
    """Return what turns a decoded struct into a call, without a loop for the usual shapes."""
    positional, named = signature.positional, signature.keyword_only
    if named:
        return lambda read: (
            tuple([getattr(read, name) for name in positional]),
            {name: getattr(read, name) for name in named},
        )
    if not positional:
        return lambda _read: ((), _NO_NAMES)
    get = attrgetter(*positional)
    if len(positional) == 1:
        return lambda read: ((get(read),), _NO_NAMES)
    return lambda read: (get(read), _NO_NAMES)


def without_snooze(returns: Any) -> Any:
    """Return the annotation of the values that are stored: a returned ``Snooze`` never is."""
    if get_origin(returns) in (Union, types.UnionType):
        kept = [kind for kind in get_args(returns) if kind is not Snooze]
        return Union[tuple(kept)] if kept else None  # noqa: UP007 - made at run time
    return Any if returns is Snooze else returns


def refuse_foreign(annotation: Any, what: str, task: str, function: Callable[..., Any]) -> None:
    """Refuse an annotation that cannot be carried as JSON.

    Raises:
        TaskDefinitionError: Names the parameter and the type.
    """
    try:
        msgspec.json.Decoder(annotation, dec_hook=from_plain)
        foreign = next(_foreign_in(shapes.type_info(annotation), set()), None)
    except (TypeError, ValueError, NameError) as error:
        reason = str(error)
    else:
        if foreign is None:
            return
        reason = f"JSON has no form for {annotation_text(foreign)}"
    raise TaskDefinitionError(
        f"{task} ({place_of(function)}) cannot be a task: {what} is annotated {annotation_text(annotation)}, and arguments "
        f"and results are carried as JSON: {reason.rstrip('.')}. Use plain values, dataclasses, attrs, TypedDict, enums, "
        "datetime, UUID, Decimal or Pydantic models; pass a large or living thing by its name.",
        function=task,
    )


def _foreign_in(shape: Any, seen: set[int]) -> Iterator[Any]:
    """Yield the types inside of an annotation that neither msgspec nor the hooks can carry."""
    if isinstance(shape, tuple):
        for one in shape:
            yield from _foreign_in(one, seen)
    elif isinstance(shape, (shapes.Type, shapes.Field)) and id(shape) not in seen:
        seen.add(id(shape))
        if isinstance(shape, shapes.CustomType) and not is_carried(shape.cls):
            yield shape.cls
        for name in shape.__struct_fields__:
            if name not in ("default", "default_factory", "cls"):
                yield from _foreign_in(getattr(shape, name), seen)
