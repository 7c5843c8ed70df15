"""Which functions can be tasks, and which of their parameters a call has filled.

A job is run by another process, which finds its function by importing the module again. So a task must be a plain
function at the top of a module, and every argument must have a name to be written down under.
"""

from __future__ import annotations

import inspect
import re
import typing
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from rota.errors import InvalidArgumentsError, TaskDefinitionError
from rota.model.near import closest

_MODULES = re.compile(r"""(?P<text>'[^']*'|"[^"]*")|\b(?:[^\W\d]\w*\.)+(?=[^\W\d])""")
"""The names of modules in an annotation's text; not what looks like them in the values of a ``Literal``."""
_VARIADIC = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}


def place_of(function: Callable[..., Any]) -> str:
    """Return where a function is written, ``file:line``, as far as it is known."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    return f"{code.co_filename}:{code.co_firstlineno}" if code else repr(function)


def refuse_unless_plain(function: object) -> None:
    """Refuse what another process could not find by importing its module, and what does not return one value.

    Raises:
        TaskDefinitionError: With the reason, and what to write instead.
    """
    reason = _why_not(function)
    if reason:
        called = getattr(function, "__qualname__", None) or type(function).__name__
        where = f" ({place_of(function)})" if inspect.isfunction(function) else ""
        raise TaskDefinitionError(f"{called}{where} cannot be a task: {reason}", function=called)


def _why_not(function: object) -> str | None:
    if isinstance(function, (staticmethod, classmethod)) or inspect.ismethod(function):
        return "it is a method. Write a function at the top of the module and pass it what it needs as arguments."
    if inspect.isclass(function):
        return "it is a class. Write a function at the top of the module that makes and uses it."
    if inspect.isbuiltin(function):
        return "it is built in, without annotations to check arguments by. Write a function that calls it."
    if not inspect.isfunction(function):
        return f"a function is needed, and this is a {type(function).__name__}. Write a function that calls it."
    name, whole = function.__name__, function.__qualname__
    if name == "<lambda>":
        return "it is a lambda, and a worker finds a task by its name. Write it with `def`."
    if "<locals>" in whole:
        return (
            "it is defined inside of another function, where a worker that imports the module cannot find it. Move it to "
            "the top of the module; a decorator of your own keeps its function's name with `functools.wraps`."
        )
    if "." in whole:
        return "it is a method. Write a function at the top of the module and pass it what it needs as arguments."
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        return "it is a generator, and a job returns one value. Return a list, or submit a job for each step."
    return None


class Signature:
    """The parameters of a task's function, by name.

    Args:
        function: A plain function.
        task: The task's name, for messages.

    Raises:
        TaskDefinitionError: It takes ``*args`` or ``**kwargs``, or an annotation cannot be resolved.
    """

    def __init__(self, function: Callable[..., Any], task: str) -> None:
        self.task = task
        parameters = inspect.signature(function).parameters
        for name, parameter in parameters.items():
            if parameter.kind in _VARIADIC:
                raise TaskDefinitionError(
                    f"{task} ({place_of(function)}) cannot be a task: it takes {_VARIADIC[parameter.kind]}{name}, and "
                    "arguments are stored by name and checked by annotation. Name each one, or take a list or a dict.",
                    function=task,
                )
            if name.startswith("__"):
                raise TaskDefinitionError(
                    f"{task} ({place_of(function)}) cannot be a task: a parameter called {name} has no name that can be "
                    "stored. Take its leading underscores away.",
                    function=task,
                )
        hints = _resolve(function, task)
        self.names = tuple(parameters)
        self.annotations: Mapping[str, Any] = {name: hints.get(name, Any) for name in parameters}
        self.returns: Any = hints.get("return", Any)
        self.defaults: Mapping[str, Any] = {
            name: parameter.default
            for name, parameter in parameters.items()
            if parameter.default is not parameter.empty
        }
        self.positional = tuple(n for n, p in parameters.items() if p.kind is not p.KEYWORD_ONLY)
        self.keyword_only = tuple(n for n, p in parameters.items() if p.kind is p.KEYWORD_ONLY)
        self.required = tuple(name for name in parameters if name not in self.defaults)
        self._positional_only = frozenset(n for n, p in parameters.items() if p.kind is p.POSITIONAL_ONLY)
        self._is_all_positional = len(self.positional) == len(self.names)

    def bind(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments that a call gives, by name, in the order of the parameters. Defaults are left out.

        Raises:
            InvalidArgumentsError: Too many, too few, an unknown name, or one given twice.
        """
        given = dict(zip(self.positional, args, strict=False))
        if len(args) > len(self.positional):
            raise self._refusal(f"takes {_count(len(self.positional), 'positional argument')}, got {len(args)}")
        if kwargs:
            self._add_named(given, kwargs)
            given = {name: given[name] for name in self.names if name in given}
        elif self._is_all_positional and len(given) == len(self.names):
            return given
        self._refuse_missing(given)
        return given

    def check_names(self, names: Collection[str]) -> None:
        """Refuse arguments by name of which one is unknown or missing.

        Raises:
            InvalidArgumentsError: Names it.
        """
        for name in names:
            self._refuse_unknown(name)
        self._refuse_missing(names)

    def _add_named(self, given: dict[str, Any], kwargs: Mapping[str, Any]) -> None:
        for name, value in kwargs.items():
            self._refuse_unknown(name)
            if name in self._positional_only:
                raise self._refusal(f"takes {name!r} by position only", argument=name)
            if name in given:
                raise self._refusal(f"got {name!r} twice, by position and by name", argument=name)
            given[name] = value

    def _refuse_unknown(self, name: str) -> None:
        if name in self.annotations:
            return
        raise self._refusal(f"has no parameter {name!r}{closest(name, self.names)}", argument=name)

    def _refuse_missing(self, given: Collection[str]) -> None:
        missing = [name for name in self.required if name not in given]
        if missing:
            raise self._refusal(f"missing {_count(len(missing), 'argument')}: {', '.join(missing)}", missing=missing)

    def _refusal(self, reason: str, **facts: Any) -> InvalidArgumentsError:
        return InvalidArgumentsError(
            f"task {self.task} {reason}. Nothing was written. It is called as {self}.", task=self.task, **facts
        )

    def __str__(self) -> str:
        shown: list[str] = []
        for name in self.names:
            if name in self.keyword_only and (not shown or "*" not in shown) and name == self.keyword_only[0]:
                shown.append("*")
            text = f"{name}: {annotation_text(self.annotations[name])}"
            shown.append(f"{text} = {self.defaults[name]!r}" if name in self.defaults else text)
        return f"{self.task}({', '.join(shown)})"


def annotation_text(annotation: Any) -> str:
    """Return an annotation as it is written in source: ``Order``, ``list[Order] | None``."""
    if annotation is Any:
        return "Any"
    if type(annotation) is type:
        return annotation.__qualname__
    return _MODULES.sub(lambda found: found["text"] or "", inspect.formatannotation(annotation))


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _resolve(function: Callable[..., Any], task: str) -> dict[str, Any]:
    try:
        return typing.get_type_hints(function, include_extras=True)
    except Exception as error:
        raise TaskDefinitionError(
            f"{task} ({place_of(function)}) cannot be a task: an annotation cannot be resolved ({error}). Define the type "
            "above the task, and import it outside of `if TYPE_CHECKING`: arguments are checked by it at run time.",
            function=task,
        ) from error
